"""All records of one entity, by number: key to number, number to record, and the number's moment."""

from collections.abc import Callable
from typing import Any

from makini_operator.sandbox.entities.model import Entity
from makini_operator.sandbox.records.context import Context, line_count
from makini_operator.sandbox.records.moments import changed_at
from makini_operator.sandbox.records.rules import Records, makers

_LINES_OF_THREE = 6  # three orders in a row have 1 + 2 + 3 lines
_MAX_DIGITS = 9


class Collection:
    """The sample records of an entity. Numbers at and beyond `count` make records that appear later."""

    def __init__(self, entity: Entity, *, count: int, records: Records) -> None:
        self.entity = entity
        self.count = count
        self._makers = makers(entity.shape, owner=entity, records=records)
        self._by_name = dict(self._makers)
        self._named = {key: index for index, key in enumerate(entity.keys)}
        states = entity.states
        self._cycle = () if states is None else tuple(states.of(code) for code in states.cycle)

    def key(self, index: int) -> str:
        """Return the key of the record with this number."""
        keys = self.entity.keys
        return keys[index] if index < len(keys) else f"{self.entity.prefix}-{index + 1:03d}"

    def index(self, key: str) -> int | None:
        """Return the number of the record that has this key if it were there, or None for a key nobody made."""
        if key in self._named:
            return self._named[key]
        digits = key.removeprefix(self.entity.prefix + "-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
            return None
        index = int(digits) - 1
        return index if index >= 0 and self.key(index) == key else None

    def at(self, index: int) -> int:
        """Return when the sample record changed last, unix seconds; rises with the number."""
        return changed_at(index, self.count)

    def context(self, index: int) -> Context:
        """Return what the rules look at."""
        state = self._cycle[index % len(self._cycle)] if self._cycle else None
        return Context(index=index, key=self.key(index), at=self.at(index), state=state)

    def make(self, index: int) -> dict[str, Any]:
        """Return the sample record."""
        c = self.context(index)
        record = {name: make(c) for name, make in self._makers}
        custom = self.entity.custom
        if custom is not None and (fields := custom(index)) is not None:
            record["customFields"] = fields
        return record

    def getter(self, field: str) -> Callable[[int], Any]:
        """Return a function from number to one field, without making the rest of the record."""
        make = self._by_name[field]
        return lambda index: make(self.context(index))


class Lines(Collection):
    """The lines of all purchase orders as records of their own: the same facts in the shape of `LineItem`."""

    def __init__(self, entity: Entity, *, orders: Collection, records: Records) -> None:
        super().__init__(entity, count=first_line(orders.count), records=records)
        self._orders = orders
        self._names = tuple(field.name for field in entity.shape.fields)

    def key(self, index: int) -> str:
        """Return `<order>-<line>`."""
        order, line = order_of_line(index)
        return f"{self._orders.key(order)}-{line + 1}"

    def index(self, key: str) -> int | None:
        """Return the line's number among all lines."""
        order_key, _, line = key.rpartition("-")
        order = self._orders.index(order_key)
        if order is None or line not in ("1", "2", "3") or int(line) > line_count(order):
            return None
        return first_line(order) + int(line) - 1

    def at(self, index: int) -> int:
        """Return when its order changed last."""
        return self._orders.at(order_of_line(index)[0])

    def make(self, index: int) -> dict[str, Any]:
        """Return the line as its order has it; `cost` is the price."""
        order, line = order_of_line(index)
        record = self._orders.getter("lineItems")(order)[line]
        record["cost"] = record["price"]
        return {name: record[name] for name in self._names}

    def getter(self, field: str) -> Callable[[int], Any]:
        """Return a function from number to one field."""
        return lambda index: self.make(index)[field]


def first_line(order: int) -> int:
    """Return the number of the first line of an order, which is how many lines the orders before it have."""
    return order // 3 * _LINES_OF_THREE + (0, 1, 3)[order % 3]


def order_of_line(index: int) -> tuple[int, int]:
    """Return (order, line) of a line's number, all from 0."""
    group, rest = divmod(index, _LINES_OF_THREE)
    order, line = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))[rest]
    return group * 3 + order, line
