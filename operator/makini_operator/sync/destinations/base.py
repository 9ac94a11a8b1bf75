"""What a destination has to be able to do. Every module of one imports its database's library only when it is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from makini_operator.sync.errors import BadSettings

STATE = "_makini_state"
STAGING = "_staging"  # the end of the name of the dataset that dlt stages in
_DATASET = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OTHERS = {"public", "main", "temp", "information_schema"}  # schemas that are there anyway, with tables of others

State = dict[str, Any]
Known = tuple[str, str | None, bool]  # key, digest, is marked as gone


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How dlt is to load: its destination, the file format in between, the table format and the merge strategy."""

    destination: Any
    file_format: Literal["insert_values", "parquet"]
    table_format: str | None
    strategy: str


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """What a purge deletes: the rows of the dataset's tables, and all else; and what is beside it and not ours."""

    rows: Mapping[str, int]
    others: list[str]
    kept: list[str]


class Destination(Protocol):
    """One dataset. Everything but `is_there` and `lock` is only called while the lock is held."""

    @property
    def dataset(self) -> str:
        """Name of the dataset: a schema, or a folder of tables."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may repeat."""

    def is_there(self) -> bool:
        """Say whether there is a dataset of that name, creating nothing.

        Raises:
            BadSettings: what is of that name was never a dataset of ours.
        """

    def lock(self) -> AbstractContextManager[None]:
        """Keep others out, and everything open that the run needs; raises Locked when another run is at work."""

    def check_lock(self) -> None:
        """Raise LockLost unless the lock is still held."""

    def read_state(self) -> dict[str, State]:
        """Return the state by entity; empty when the dataset is new."""

    def write_state(self, entity: str, state: State) -> None:
        """Replace one entity's state; raises LockLost when it cannot be known to be ours."""

    def known(self, table: str, *, keys: Iterable[list[str]] | None = None, by: str) -> Iterator[Known]:
        """Return the rows of a table, or those whose column `by` is in one of the batches of keys."""

    def arrived(self, table: str, run: str) -> int:
        """Return how many rows of a table came with a run."""

    def mark_gone(self, table: str, keys: Iterable[list[str]], *, by: str, at: datetime) -> int:
        """Mark rows that are not marked yet, by the values of column `by`; return how many."""

    def tidy(self, tables: Mapping[str, list[str]]) -> None:
        """Make what readers and lookups need, after a load. `tables` are those loaded, with the source's columns."""

    def loading(self) -> Loading:
        """Return how dlt loads here."""

    def rows(self) -> Mapping[str, int]:
        """Return the tables of the dataset with their number of rows, our own and dlt's left out."""

    def doomed(self) -> Doomed:
        """Return what `purge` would delete now; raises what it would raise."""

    def purge(self) -> None:
        """Delete the dataset with all its rows, for good.

        Raises:
            BadSettings: it was never a dataset of ours, or something outside of it needs it.
        """


def checked_dataset(name: str) -> str:
    """Return a dataset's name.

    Raises:
        BadSettings: not a name that every destination takes.
    """
    # A dataset of another's staging name would be emptied by that one's loads, and go with its purge.
    if not _DATASET.fullmatch(name) or name.startswith("pg_") or name.endswith(STAGING) or name in _OTHERS:
        raise BadSettings(
            "--dataset: expected a small letter, then at most 39 small letters, digits and _ "
            "(not pg_…, …_staging, public or main), "
            f"found {name!r}"
        )
    return name


def is_data(table: str) -> bool:
    """Say whether a table holds synced rows."""
    return not table.startswith(("_dlt", "_makini"))


def locked(dataset: str) -> str:
    """Return the text for a dataset that another run works on."""
    return f"another run works on dataset {dataset!r}: nothing was read or changed"


def foreign(place: str) -> BadSettings:
    """Return the error for a place that holds what no sync has made; it is neither read nor deleted."""
    return BadSettings(
        f"{place} is not a dataset of ours, no sync has left its mark there, and nothing was deleted: look at the name "
        "and the place; what is to go, delete by other means"
    )
