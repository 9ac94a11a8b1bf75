"""What can be read: the lists of Makini's ERP and EAM API (v3), from the vendor's OpenAPI files.

`entities.json` holds for each list: the cursor field, if its records have one; whether `per_page` may be asked for; the
fields, so that a column exists even while it is always empty; and the lists of objects inside a record, which become
tables of their own. Its types are left out on purpose: the files call an amount an "object" (sync-facts, section 1), so
every field is kept as the text that the source wrote.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9]+")


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One list of the API. `cursor` is None where records do not say when they changed: then all are read each time."""

    name: str  # erp/purchase-orders
    cursor: str | None
    sized: bool  # per_page may be asked for
    fields: tuple[str, ...]
    lists: Mapping[str, tuple[str, ...]]  # field -> the fields of its objects

    @property
    def path(self) -> str:
        """The path below the API's base URL."""
        return f"/api/{self.name}"

    @property
    def table(self) -> str:
        """The table of its records at the destination."""
        return column_name(self.name.replace(".", "_dot_"))

    def child_table(self, field: str) -> str:
        """The table of the objects in a list field."""
        return f"{self.table}_{column_name(field)}"

    @property
    def tables(self) -> tuple[str, ...]:
        """All its tables, that of the records first."""
        return (self.table, *(self.child_table(field) for field in self.lists))


@lru_cache(maxsize=10_000)
def column_name(name: str) -> str:
    """Return a name of the API as dlt and databases write it: `siteKey` becomes `site_key`, `3dModel` `_3d_model`.

    It is one that dlt's naming convention leaves as it is, however long (destinations may have to shorten it); empty
    when no letter and no digit is in it.
    """
    words = re.sub("_+", "_", _NOT_A_NAME.sub("_", _CAMEL.sub("_", name))).strip("_").lower()
    is_led = name.startswith("_") or words[:1].isdigit()
    return f"_{words}" if words and is_led else words


def find_entity(name: str) -> Entity:
    """Return the list of that name.

    Raises:
        ValueError: there is none; the text names similar ones.
    """
    known = _known()
    if name not in known:
        similar = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {', '.join(similar)}?" if similar else "docs/syncs.md lists them"
        raise ValueError(f"there is no entity {name!r}: {hint}")
    return known[name]


def all_entities() -> tuple[Entity, ...]:
    """Return every list that can be read, by name."""
    return tuple(_known().values())


@cache
def _known() -> dict[str, Entity]:
    text = resources.files("makini_operator.sync").joinpath("entities.json").read_text(encoding="utf-8")
    return {
        name: Entity(
            name=name,
            cursor=entry["cursor"],
            sized=entry["sized"],
            fields=tuple(entry["fields"]),
            lists={field: tuple(fields) for field, fields in entry["lists"].items()},
        )
        for name, entry in json.loads(text).items()
    }
