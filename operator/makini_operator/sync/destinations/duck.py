"""DuckDB on a volume: one file for each dataset, so that connections never wait for each other.

The file is `<dataset>-history.duckdb` (a file named like its schema is ambiguous to DuckDB), its lock a second file
beside it, which the kernel lets go of when the process ends, however it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from makini_operator.sync.destinations.base import (
    STATE,
    Doomed,
    Known,
    Loading,
    State,
    checked_dataset,
    foreign,
    is_data,
)
from makini_operator.sync.destinations.filelock import FileLock
from makini_operator.sync.errors import DestinationFailed
from makini_operator.sync.redact import clean
from makini_operator.sync.rows import DIGEST, GONE_AT, KEY, RUN

_BATCH = 5_000


class Duck:
    """A DuckDB file in a folder."""

    secrets: tuple[str, ...] = ()

    def __init__(self, folder: Path, dataset: str) -> None:
        import duckdb  # noqa: PLC0415 - only who loads there needs it

        self.dataset = checked_dataset(dataset)
        self._duckdb = duckdb
        self._folder = folder
        self._file = folder / f"{dataset}-history.duckdb"
        self._lock = FileLock(folder / f"{dataset}.lock", dataset)

    def lock(self) -> AbstractContextManager[None]:
        """Take the dataset's lock file."""
        return self._lock.held()

    def check_lock(self) -> None:
        """Raise LockLost unless the lock file is still ours."""
        self._lock.check()

    def read_state(self) -> dict[str, State]:
        """Return the state by entity."""
        with self._open() as database:
            if not self._exists(database, STATE):
                return {}
            found = database.execute(f"SELECT entity, state FROM {self._name(STATE)}").fetchall()
        return {name: json.loads(text) for name, text in found}

    def write_state(self, entity: str, state: State) -> None:
        """Replace one entity's state."""
        self.check_lock()
        with self._open() as database:
            database.execute(f'CREATE SCHEMA IF NOT EXISTS "{self.dataset}"')
            database.execute(f"CREATE TABLE IF NOT EXISTS {self._name(STATE)} (entity TEXT PRIMARY KEY, state TEXT)")
            database.execute(f"INSERT OR REPLACE INTO {self._name(STATE)} VALUES (?, ?)", [entity, json.dumps(state)])

    def known(self, table: str, *, keys: Iterable[list[str]] | None = None, by: str = KEY) -> Iterator[Known]:
        """Return key, digest and mark of rows."""
        with self._open() as database:
            if not self._exists(database, table):
                return
            query = f'SELECT "{KEY}", "{DIGEST}", "{GONE_AT}" IS NOT NULL FROM {self._name(table)}'
            for batch in [None] if keys is None else keys:
                if batch is None:
                    database.execute(query)
                else:
                    database.execute(f'{query} WHERE list_contains(?, "{by}")', [batch])
                while found := database.fetchmany(_BATCH):
                    yield from found

    def arrived(self, table: str, run: str) -> int:
        """Return how many rows came with a run."""
        with self._open() as database:
            if not self._exists(database, table):
                return 0
            found = database.execute(f'SELECT count(*) FROM {self._name(table)} WHERE "{RUN}" = ?', [run]).fetchone()
        return int(found[0])

    def mark_gone(self, table: str, keys: Iterable[list[str]], *, by: str = KEY, at: datetime) -> int:
        """Mark rows that are not marked yet."""
        marked = 0
        with self._open() as database:
            if not self._exists(database, table):
                return 0
            for batch in keys:
                found = database.execute(
                    f'UPDATE {self._name(table)} SET "{GONE_AT}" = ? WHERE "{GONE_AT}" IS NULL '
                    f'AND list_contains(?, "{by}")',
                    [at, batch],
                ).fetchone()
                marked += int(found[0])
        return marked

    def tidy(self, tables: Mapping[str, list[str]]) -> None:
        """Nothing: DuckDB joins without indexes."""

    def loading(self) -> Loading:
        """Loaded as Parquet: dlt's default, INSERT statements, takes twelve times the memory."""
        import dlt  # noqa: PLC0415 - slow to import

        return Loading(
            destination=dlt.destinations.duckdb(credentials=str(self._file)),
            file_format="parquet",
            table_format=None,
            strategy="delete-insert",
        )

    def rows(self) -> Mapping[str, int]:
        """Return the tables with their number of rows."""
        if not self._file.exists():
            return {}
        with self._open() as database:
            tables = [name for name in self._tables(database) if is_data(name)]
            return {name: int(_one(database.execute(f"SELECT count(*) FROM {self._name(name)}"))) for name in tables}

    def is_there(self) -> bool:
        """Say whether the file is there. Whether it is ours is looked at when it is locked: a run may have it open."""
        return self._file.exists()

    def doomed(self) -> Doomed:
        """Return what a purge would delete: all that is in the file."""
        self._check_ours()
        query = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2"
        with self._open() as database:
            found = database.execute(query).fetchall()
        others = [f"{schema}.{name}" for schema, name in found if not (schema == self.dataset and is_data(name))]
        return Doomed(rows=self.rows(), others=others, kept=[])

    def purge(self) -> None:
        """Delete the file."""
        self._check_ours()
        # The log first: DuckDB would replay it onto a new file.
        self._file.with_name(f"{self._file.name}.wal").unlink(missing_ok=True)
        self._file.unlink(missing_ok=True)

    def _check_ours(self) -> None:
        if self._file.exists():
            with self._open() as database:
                if not self._exists(database, STATE):
                    raise foreign(str(self._file))

    def _name(self, table: str) -> str:
        return f'"{self.dataset}"."{table}"'

    def _tables(self, database: Any) -> list[str]:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1"
        return [name for (name,) in database.execute(query, [self.dataset]).fetchall()]

    def _exists(self, database: Any, table: str) -> bool:
        return table in self._tables(database)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            with self._duckdb.connect(str(self._file)) as database:
                yield database
        except self._duckdb.Error as error:
            raise DestinationFailed(f"DuckDB: {clean(str(error), self.secrets)}") from None


def _one(found: Any) -> Any:
    return found.fetchone()[0]
