"""A record as rows: one of its own, and one for each object in its lists. Pure.

Every value is the text that the source wrote, for the vendor's files do not say what type it has, and a price that went
through a binary fraction is no longer that price. What is nested deeper is kept as JSON. Rows of all tables look alike:

* `_makini_key` identifies a row; a child's is `parent/child`. It is what is merged on.
* `_makini_parent` is the parent's `_makini_key` (children only).
* `_makini_digest` is that of the whole record with its lists: equal means that nothing has to be written.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from makini_operator.sync.entities import Entity, column_name
from makini_operator.sync.envelope import Number, Record
from makini_operator.sync.errors import NotWhole

KEY = "_makini_key"
PARENT = "_makini_parent"
DIGEST = "_makini_digest"
GONE_AT = "_makini_gone_at"
SYNCED_AT = "_makini_synced_at"
RUN = "_makini_run"
CONNECTION = "_makini_connection_id"
OWN = (KEY, PARENT, DIGEST, GONE_AT, SYNCED_AT, RUN, CONNECTION)

Row = dict[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A record's rows by table; `key` is that of the record's own row, the first of its table.

    A child table is left out where the record does not tell what it has in it: a list that is absent, or null, is not
    an empty one.
    """

    key: str
    digest: str
    tables: dict[str, list[Row]]


def to_rows(record: Record, entity: Entity) -> Rows:
    """Return the rows of a record, without the columns that belong to a run.

    Raises:
        NotWhole: two of its fields have the same column, or one is nested hundreds of levels deep.
    """
    key = quote(record.key)
    own = _row({name: value for name, value in record.content.items() if name not in entity.lists}, record.key)
    tables: dict[str, list[Row]] = {entity.table: [own]}
    for field in entity.lists:
        if record.content.get(field) is not None:
            tables[entity.child_table(field)] = list(_children(record, key, field))
    canonical = json.dumps(tables, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    for rows in tables.values():
        for row in rows:
            row[DIGEST] = digest
    own[KEY] = key
    return Rows(key=key, digest=digest, tables=tables)


def quote(key: str) -> str:
    """Return a key of the source so that it holds no `/`."""
    return key.replace("%", "%25").replace("/", "%2F")


def as_text(value: Any) -> str | None:
    """Return a value of the source as the text it was written in; None for null."""
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and "\0" not in value:
        return value  # nearly all there is
    match value:
        case str():
            # No database keeps a NUL in a text, and half a surrogate pair is no text at all.
            return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case bool():
            return "true" if value else "false"
        case Number():
            return value.text
        case int():
            return str(value)
        case _:
            return as_text(_json(value))


def _json(value: Any) -> str:
    """A value as JSON, numbers as they were written: 24.10, twenty digits, 1e400."""
    match value:
        case Number():
            return value.text
        case dict():
            return "{" + ", ".join([f"{_json(name)}: {_json(each)}" for name, each in sorted(value.items())]) + "}"
        case list():
            return "[" + ", ".join([_json(each) for each in value]) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _row(content: dict[str, Any], key: str) -> Row:
    row: Row = {}
    for name, value in content.items():
        column = column_name(name)
        if not column or column in row or (column[0] == "_" and (column in OWN or column.startswith("_dlt_"))):
            raise NotWhole(f"record {key!r}: field {name!r} would share the column {column!r} with another")
        try:
            row[column] = as_text(value)
        except RecursionError:
            raise NotWhole(f"record {key!r}: field {name!r} is nested too deeply to be kept") from None
    return row


def _children(record: Record, parent: str, field: str) -> Iterator[Row]:
    met: Counter[str] = Counter()
    for position, item in enumerate(record.content[field]):
        own = item.get("key")
        name = quote(str(own)).replace("#", "%23") if isinstance(own, str | int) and own != "" else str(position)
        met[name] += 1
        # Two lines of one key are two lines: merging on the key must not make one of them. No key of the source holds
        # a # any more, so these are nobody else's.
        key = name if met[name] == 1 else f"{name}#{met[name]}"
        yield {**_row(item, record.key), KEY: f"{parent}/{key}", PARENT: parent}
