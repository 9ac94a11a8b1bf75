"""One page, believed only when it is what its own envelope promises. Pure.

The vendor's lists answer `{data: [...], links, meta: {current_page, last_page, per_page, total, ...}}` (sync-facts,
section 1). A client that takes a page without `data` for the end, or an empty one for "no more", loses records and
reports success; here both fail. `links` are never followed: the next page is asked for by number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from makini_operator.sync.entities import Entity
from makini_operator.sync.errors import NotWhole
from makini_operator.sync.times import parse_time

_MAX_KEY = 500  # characters


class Number(float):
    """A number that still knows how the source wrote it: 24.10 is kept as `24.10`."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Read a JSON number."""
        made = super().__new__(cls, text)
        made.text = text
        return made


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record as it came. `changed` is None where the entity has no cursor."""

    key: str
    changed: datetime | None
    content: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page that is whole: `records` are as many as `total` and `per_page` promise for this `number`."""

    number: int
    total: int
    per_page: int
    records: tuple[Record, ...]

    @property
    def last(self) -> int:
        """The number of the last page, at least 1."""
        return max(1, -(-self.total // self.per_page))


def read_page(body: bytes, *, number: int, entity: Entity) -> Page:
    """Return page `number` of an entity from the body of an answer.

    Raises:
        NotWhole: the body is not JSON, or the page is not what its envelope promises.
    """
    where = f"page {number} of {entity.name}"
    try:
        answer = json.loads(body, parse_float=Number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotWhole(f"{where} is not JSON, or was cut off: nothing of this run was loaded") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise NotWhole(f"{where} has no list `data`: that is not the end of a list, it is a fault at the source")
    meta = answer.get("meta")
    if not isinstance(meta, dict):
        raise NotWhole(f"{where} has no `meta`, so nothing says how many records there are")
    data = answer["data"]
    total, per_page = _count(meta, "total", 0, where), _count(meta, "per_page", 1, where)
    _check_numbers(meta, number=number, total=total, per_page=per_page, where=where)
    promised = max(0, min(per_page, total - (number - 1) * per_page))
    if len(data) != promised:
        raise NotWhole(
            f"{where} holds {len(data)} records where its envelope promises {promised} "
            f"(total {total}, per_page {per_page})"
        )
    records = tuple(_record(item, entity, where) for item in data)
    if len({record.key for record in records}) != len(records):
        raise NotWhole(f"{where} holds a key twice")
    return Page(number=number, total=total, per_page=per_page, records=records)


def _check_numbers(meta: dict[str, Any], *, number: int, total: int, per_page: int, where: str) -> None:
    current = _count(meta, "current_page", 1, where)
    if current != number:
        raise NotWhole(f"{where} says that it is page {current}")
    if "last_page" in meta:
        last, expected = _count(meta, "last_page", 0, where), -(-total // per_page)
        if max(last, 1) != max(expected, 1):
            raise NotWhole(f"{where} speaks of {last} pages, but {total} records by {per_page} fill {expected}")


def _count(meta: dict[str, Any], name: str, least: int, where: str) -> int:
    value = meta.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)  # Laravel, which this envelope is from, writes a per_page of the query as text
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise NotWhole(
            f"{where}: expected meta.{name} to be a number of at least {least}, found {type(value).__name__}"
        )
    return value


def _record(item: Any, entity: Entity, where: str) -> Record:
    if not isinstance(item, dict):
        raise NotWhole(f"{where} holds something that is not a record ({type(item).__name__})")
    key = item.get("key")
    key = str(key) if isinstance(key, int) and not isinstance(key, bool) else key
    if not isinstance(key, str) or not key or len(key) > _MAX_KEY:
        raise NotWhole(f"{where} holds a record without a `key`")
    for field in entity.lists:
        _check_list(item.get(field), field, f"{where}, record {key!r}")
    return Record(key=key, changed=_changed(item, entity, where), content=item)


def _check_list(value: Any, field: str, where: str) -> None:
    if value is not None and not (isinstance(value, list) and all(isinstance(each, dict) for each in value)):
        raise NotWhole(f"{where}: expected {field} to be a list of objects")


def _changed(item: dict[str, Any], entity: Entity, where: str) -> datetime | None:
    if entity.cursor is None:
        return None
    try:
        return parse_time(item.get(entity.cursor))
    except ValueError:
        raise NotWhole(
            f"{where}: record {item['key']!r} has no {entity.cursor} that can be read, so changes of {entity.name} "
            f"cannot be followed; read it whole each time with --no-cursor {entity.name}"
        ) from None


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
