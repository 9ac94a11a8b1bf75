"""Lists as bytes: records written once, pages kept while they fit, because load tests ask for the same ones again.

A page is kept under everything that can change it: the version of its records, the address it was asked at and the
caller's idea of the host. Memory is bounded by bytes, not by number.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from makini_operator.sandbox.paging import surroundings
from makini_operator.sandbox.records.view import View

_PAGE_BYTES = 12 * 1024 * 1024
_RECORD_BYTES = 6 * 1024 * 1024


class Kept:
    """Bytes by key, the least recently used ones dropped beyond a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._items: OrderedDict[Any, bytes] = OrderedDict()

    def get(self, key: Any) -> bytes | None:
        """Return what is kept under the key."""
        if key in self._items:
            self._items.move_to_end(key)
            return self._items[key]
        return None

    def put(self, key: Any, value: bytes) -> bytes:
        """Keep the value and return it."""
        self._size += len(value) - len(self._items.get(key, b""))
        self._items[key] = value
        self._items.move_to_end(key)
        while self._size > self._limit:
            self._size -= len(self._items.popitem(last=False)[1])
        return value


class Pages:
    """Writes pages and keeps the last ones."""

    def __init__(self) -> None:
        self.kept = Kept(_PAGE_BYTES)
        self._records = Kept(_RECORD_BYTES)

    def record(self, view: View, index: int) -> bytes:
        """Return a record as JSON."""
        if view.is_large:
            return view.written(index)
        key = (view.collection.entity.name, view.version, index)
        found = self._records.get(key)
        return found if found is not None else self._records.put(key, view.written(index))

    def page(self, view: View, numbers: Sequence[int], *, base: str, number: int, per_page: int) -> bytes:
        """Return one page of a list in the vendor's envelope; beyond the last page it is empty."""
        rows = [self.record(view, index) for index in numbers[(number - 1) * per_page : number * per_page]]
        around = encoded(surroundings(len(rows), base=base, number=number, per_page=per_page, total=len(numbers)))
        return b'{"data":[' + b",".join(rows) + b"]," + around[1:]


def encoded(value: Any) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
