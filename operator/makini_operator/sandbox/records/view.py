"""A collection as it is now: the sample, and what tests have changed of it since the start.

Order is by time of change. A change moves a record to the end of that order, as it does at a vendor whose listing is
sorted by `updatedAt`: that is what makes pages drift under a reader. What changed is kept in memory, the sample is not.
"""

import json
from bisect import bisect_right, insort
from collections.abc import Callable
from typing import Any

from makini_operator.sandbox.records.collection import Collection
from makini_operator.sandbox.records.moments import text
from makini_operator.sandbox.records.templates import WORTH_IT, Templates

_NOTED = ("notes", "description", "name", "title", "reading")


class View:
    """The records of one entity that exist now, by position in the order of their last change."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.version = 0
        self._gone: list[int] = []  # numbers that are not in their first place any more, sorted
        self._tail: list[int] = []  # numbers that changed or appeared, in the order of that
        self._vanished: set[int] = set()
        self._changes: dict[int, tuple[int, dict[str, Any]]] = {}  # number: (moment, fields)
        self._next = collection.count
        self._last = 0
        self._templates = Templates(collection) if collection.count > WORTH_IT else None

    def __len__(self) -> int:
        return self.collection.count - len(self._gone) + len(self._tail)

    @property
    def is_large(self) -> bool:
        """Whether records are written from templates, so that keeping them would save nothing."""
        return self._templates is not None

    def index(self, position: int) -> int:
        """Return the number of the record at a position, 0 being the one that has not changed for longest."""
        in_place = self.collection.count - len(self._gone)
        if position >= in_place:
            return self._tail[position - in_place]
        index = position
        while (shifted := position + bisect_right(self._gone, index)) != index:
            index = shifted
        return index

    def at(self, index: int) -> int:
        """Return when the record changed last, unix seconds."""
        return self._changes[index][0] if index in self._changes else self.collection.at(index)

    def record(self, index: int) -> dict[str, Any]:
        """Return the record as it is now."""
        record = self.collection.make(index)
        return record | self._changes[index][1] if index in self._changes else record

    def written(self, index: int) -> bytes:
        """Return the record as it is now as compact JSON."""
        if self._templates is not None and index not in self._changes:
            return self._templates.record(index)
        return json.dumps(self.record(index), separators=(",", ":")).encode()

    def getter(self, field: str) -> Callable[[int], Any]:
        """Return a function from number to one field as it is now."""
        sample = self.collection.getter(field)
        if not self._changes:
            return sample

        def value(index: int) -> Any:
            changed = self._changes.get(index)
            return changed[1][field] if changed is not None and field in changed[1] else sample(index)

        return value

    def find(self, key: str) -> int | None:
        """Return the number of the record with this key, or None when there is none now."""
        index = self.collection.index(key)
        exists = index is not None and index < self._next and index not in self._vanished
        return index if exists else None

    def change(self, index: int, *, now: float) -> None:
        """Change the record: its moment, and a text that says how often it has changed."""
        fields = dict(self._changes[index][1]) if index in self._changes else {}
        noted = next((name for name in _NOTED if self.collection.entity.shape.field(name)), None)
        if noted is not None:
            fields[noted] = f"changed, version {self.version + 1}"
        self._move(index, fields, now=now)

    def soft_delete(self, index: int, *, now: float) -> bool:
        """Mark the record as deleted; False when this entity's records have no such mark."""
        if self.collection.entity.shape.field("deletedAt") is None:
            return False
        fields = dict(self._changes[index][1]) if index in self._changes else {}
        moment = self._moment(now)
        self._move(index, fields | {"deletedAt": text(moment)}, now=now)
        return True

    def appear(self, *, now: float) -> int:
        """Add a record; returns its number."""
        index = self._next
        self._next += 1
        self._move(index, {}, now=now)
        return index

    def vanish(self, index: int) -> None:
        """Remove the record without a trace."""
        self._take_out(index)
        self._vanished.add(index)
        self._changes.pop(index, None)
        self.version += 1

    def _move(self, index: int, fields: dict[str, Any], *, now: float) -> None:
        moment = self._moment(now)
        self._last = moment
        if self.collection.entity.cursor is not None:
            fields["updatedAt"] = text(moment)
        self._take_out(index)
        self._tail.append(index)
        self._changes[index] = (moment, fields)
        self.version += 1

    def _moment(self, now: float) -> int:
        newest = self.collection.at(self.collection.count - 1)
        return max(int(now), self._last, newest)

    def _take_out(self, index: int) -> None:
        if index in self._changes:
            self._tail.remove(index)
        elif index < self.collection.count:
            insort(self._gone, index)
