"""Which records a query finds, as a sequence of numbers that is cheap to page through.

Without filters, or with filters by time of change only, positions are computed and nothing is looked at: that is what
makes a million records cheap. Anything else looks once at every record that is left, lets others run meanwhile, and
keeps the answer for the next pages.
"""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import compress
from typing import Any

from makini_operator.sandbox.problems import bad_request
from makini_operator.sandbox.query import Condition, Query
from makini_operator.sandbox.records.moments import text
from makini_operator.sandbox.records.view import View

_MAX_SORTED = 50_000
_SLICE = 2_000  # records looked at before others get their turn
_KEPT = 4


class Found(Sequence[int]):
    """Numbers of the records found, in order."""

    def __init__(self, length: int, index: Callable[[int], int], *, descending: bool) -> None:
        self._length = length
        self._index = index
        self._descending = descending

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[position] for position in range(*at.indices(self._length))]
        if not 0 <= at < self._length:
            raise IndexError(at)
        return self._index(self._length - 1 - at if self._descending else at)


class Search:
    """Answers queries about one view, and remembers the last few costly answers until something changes."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._kept: OrderedDict[tuple[int, Query], array[int]] = OrderedDict()

    async def find(self, query: Query) -> Sequence[int]:
        """Return the numbers of the records found.

        Raises:
            ApiError: (400) so many were found that they cannot be sorted by this field.
        """
        cursor = self.view.collection.entity.cursor
        by_time = query.sort is None or query.sort[0] == cursor
        descending = query.sort is None or query.sort[1]
        positions, rest = self._narrowed(query)
        if by_time and not rest:
            first = positions.start
            return Found(len(positions), lambda at: self.view.index(first + at), descending=descending)
        kept = await self._scanned(query)
        return Found(len(kept), kept.__getitem__, descending=by_time and descending)

    def _narrowed(self, query: Query) -> tuple[range, list[Condition]]:
        """Return the positions that filters by time of change leave, and the other filters."""
        if query.any_of and len(query.conditions) > 1:
            return range(len(self.view)), list(query.conditions)
        low, high, rest = 0, len(self.view), []
        for one in query.conditions:
            if not self._is_by_time(one):
                rest.append(one)
                continue
            before, after = self._bisected(bisect_left, one.value), self._bisected(bisect_right, one.value)
            low = max(low, {"gt": after, "gteq": before, "": before}.get(one.op, 0))
            high = min(high, {"lt": before, "lted": after, "": after}.get(one.op, high))
        return range(low, max(low, high)), rest

    def _is_by_time(self, one: Condition) -> bool:
        is_moment = one.op not in ("contains", "startsWith") and one.value != ""
        return is_moment and one.field == self.view.collection.entity.cursor

    def _bisected(self, bisect: Callable[..., int], moment: str) -> int:
        view = self.view
        return bisect(range(len(view)), moment, key=lambda position: text(view.at(view.index(position))))

    async def _scanned(self, query: Query) -> "array[int]":
        asked = (self.view.version, query)
        if asked not in self._kept:
            found = await self._matching(query)
            by_time = query.sort is None or query.sort[0] == self.view.collection.entity.cursor
            self._kept[asked] = found if by_time else self._sorted(found, query)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(asked)
        return self._kept[asked]

    async def _matching(self, query: Query) -> "array[int]":
        found: array[int] | None = None
        while found is None:
            found = await self._looked_through(query)
        return found

    async def _looked_through(self, query: Query) -> "array[int] | None":
        """Return the numbers that match, or None when something changed meanwhile: it would belong to no moment."""
        view, version = self.view, self.view.version
        positions, rest = self._narrowed(query)
        getters = [(view.getter(one.field), one) for one in rest]
        decide = any if query.any_of and getters else all
        found = array("I")
        for start in range(0, len(positions), _SLICE):
            numbers = [view.index(position) for position in positions[start : start + _SLICE]]
            fits = (decide(one.holds(get(number)) for get, one in getters) for number in numbers)
            found.extend(compress(numbers, fits))
            await asyncio.sleep(0)
            if view.version != version:
                return None
        return found

    def _sorted(self, found: "array[int]", query: Query) -> "array[int]":
        if query.sort is None or len(found) > _MAX_SORTED:
            raise bad_request(
                "INVALID_PARAMETER",
                f"the sandbox sorts at most {_MAX_SORTED} records by this field: filter more, or sort by updatedAt",
            )
        name, descending = query.sort
        get = self.view.getter(name)
        return array("I", sorted(found, key=lambda number: _rank(get(number)), reverse=descending))


def _rank(value: Any) -> tuple[int, Any]:
    """Return what a value is sorted by: nothing first, numbers by size, all else as text."""
    if value is None:
        return 0, 0
    if isinstance(value, bool | int):
        return 1, Decimal(value)
    text_value = str(value)
    if text_value.replace(".", "", 1).isdigit() and text_value.isascii():
        return 1, Decimal(text_value)
    return 2, text_value
