"""From a field of the table to a function that makes its sample value.

The order of precedence: money and quantities of lines, which must add up; what the state decides; the table's own
rule; what the kind of the field suggests.
"""

import zlib
from collections.abc import Callable
from typing import Any, Protocol

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.entities.materials import MATERIALS
from makini_operator.sandbox.entities.model import Entity, Field, Kind, Shape
from makini_operator.sandbox.entities.parts import PARTS
from makini_operator.sandbox.records import context as facts
from makini_operator.sandbox.records.context import Context, money
from makini_operator.sandbox.records.moments import DAY, text

Maker = Callable[[Context], Any]
_STARTS = ("createdAt", "orderDate", "date", "invoiceDate", "startedAt")
_LATER = {"dueAt": 14, "dueDate": 30, "deliveryAt": 9}  # days after the start
_NEVER = ("deletedAt", "expiresAt", "deactivatedAt")
_PLAIN: dict[Kind, Any] = {Kind.FLAG: True, Kind.WHOLE: 0, Kind.NUMBER: "0", Kind.LIST: ()}
_CURRENCY = "EUR"
_ONE_SHARE = 3  # an optional key is there in one of so many records

_MONEY: dict[str, Maker] = {
    "quantity": lambda c: str(facts.quantity(c.turn)),
    "quantityRequired": lambda c: str(facts.quantity(c.turn)),
    "receivedQuantity": lambda c: str(facts.received(c.turn, line=c.line, state=c.state)),
    "price": lambda c: money(facts.price(c.turn)),
    "cost": lambda c: money(facts.price(c.turn)),
    "discount": lambda _: "0.00",
    "lineTaxValue": lambda c: money(facts.line_tax(c.turn)),
    "lineTotalValue": lambda c: money(facts.line_total(c.turn)),
    "totalNetValue": lambda c: money(facts.net(c.index)),
    "totalTaxValue": lambda c: money(facts.tax(c.index)),
    "totalGrossValue": lambda c: money(facts.net(c.index) + facts.tax(c.index)),
}
_LINE_FACTS: dict[str, Maker] = _MONEY | {
    "materialKey": lambda c: MATERIALS.keys[facts.material(c.turn)],
    "uomKey": lambda c: facts.unit(c.turn),
}


class Records(Protocol):
    """Where the records of other entities come from."""

    def key(self, entity: str, index: int) -> str:
        """Return the key of a sample record."""

    def sample(self, entity: str, index: int) -> dict[str, Any]:
        """Return a sample record as it was before any change."""


def makers(shape: Shape, *, owner: Entity, records: Records, is_line: bool = False) -> list[tuple[str, Maker]]:
    """Return (field, function) for each field of a shape that is (a part of) an entity's record."""
    return [(field.name, _maker(field, shape, owner=owner, records=records, is_line=is_line)) for field in shape.fields]


def _maker(field: Field, shape: Shape, *, owner: Entity, records: Records, is_line: bool) -> Maker:
    name = field.name
    if name == "key":
        return (lambda c: f"{c.key}-{c.line + 1}") if is_line and "key" not in shape.values else _key(shape)
    is_fact = name in (_LINE_FACTS if is_line else _MONEY) and field.kind is not Kind.REFERENCES
    if is_fact and name not in shape.values:
        return _LINE_FACTS[name]
    if name == "statusKey" and owner.states is not None and name not in shape.values:
        states = owner.states
        return lambda c: None if c.state is None else states.key(c.state.code)
    if name == "status" and field.kind is Kind.TEXT and owner.states is not None and name not in shape.values:
        return lambda c: None if c.state is None else c.state.code
    make = _rule(field, shape, owner=owner, records=records, is_line=is_line)
    if not is_line and any(name in state.fills for state in (owner.states.states if owner.states else ())):
        return _when_filled(name, make, is_time=field.kind is Kind.TIME)
    return make


def _rule(field: Field, shape: Shape, *, owner: Entity, records: Records, is_line: bool) -> Maker:
    if field.name in shape.values:
        return _by_table(shape.values[field.name])
    if is_line and field.kind is Kind.REFERENCE and field.name in owner.shape.values:
        make = _by_table(owner.shape.values[field.name])  # a line has its document's vendor
        return lambda c: make(c.of_line(0))
    if field.name == "currencyKey":
        return lambda _: _CURRENCY
    return _by_kind(field, shape, owner, records)


def _key(shape: Shape) -> Maker:
    return _by_table(shape.values["key"]) if "key" in shape.values else (lambda c: c.key)


def _when_filled(name: str, make: Maker, *, is_time: bool) -> Maker:
    def value(c: Context) -> Any:
        moment = c.event(name)
        if moment is None:
            return None
        return text(moment) if is_time else make(c)

    return value


def _by_table(rule: Any) -> Maker:
    if isinstance(rule, tuple):
        return lambda c: rule[c.turn % len(rule)]
    if isinstance(rule, str) and "{" in rule:
        return lambda c: rule.format(n=c.index + 1, line=c.line + 1)
    return lambda _: rule


def _by_kind(field: Field, shape: Shape, owner: Entity, records: Records) -> Maker:
    if field.kind in _PLAIN:
        plain = _PLAIN[field.kind]
        return lambda _: plain
    match field.kind:
        case Kind.TIME:
            return _time(field.name)
        case Kind.REFERENCE | Kind.REFERENCES | Kind.REFERENCE_TEXT:
            return _reference(field, owner, records)
        case Kind.PART | Kind.PARTS:
            return _part(field, owner, records)
        case Kind.RECORD:
            return lambda c: records.sample(field.target, c.index % ENTITIES[field.target].count)
        case Kind.RECORDS:
            count = ENTITIES[field.target].count
            return lambda c: [records.sample(field.target, c.index % count)] if c.index % 2 == 0 else []
        case _:
            return _text(field.name, shape, owner)


def _time(name: str) -> Maker:
    if name in _NEVER:
        return lambda _: None
    if name in _STARTS:
        return lambda c: text(c.start)
    if name in _LATER:
        later = _LATER[name] * DAY
        return lambda c: text(c.start + later)
    return lambda c: text(c.at)


def _text(name: str, shape: Shape, owner: Entity) -> Maker:
    if name in ("code", "name", "title"):
        label = (shape.name if name != "code" else owner.prefix.upper()) + ("-" if name == "code" else " ")
        return lambda c: f"{label}{c.index + 1:03d}"
    return lambda _: None


def _reference(field: Field, owner: Entity, records: Records) -> Maker:
    target, count = field.target, ENTITIES[field.target].count
    salt = zlib.crc32(field.name.encode()) % 97
    if target == owner.name:  # a tree: the parent is a smaller number, so there is no circle

        def one(c: Context) -> str | None:
            return None if c.index < _ONE_SHARE else records.key(target, min(c.index // _ONE_SHARE, count - 1))
    else:

        def one(c: Context) -> str | None:
            if field.optional and (c.turn + salt) % _ONE_SHARE:
                return None
            return records.key(target, (c.index * 7 + salt) % count)

    if field.kind is Kind.REFERENCES:
        return lambda c: [key] if (key := one(c)) is not None else []
    return one


def _part(field: Field, owner: Entity, records: Records) -> Maker:
    shape = PARTS[field.target]
    many = field.kind is Kind.PARTS
    made = makers(shape, owner=owner, records=records, is_line=True)
    if not many:
        return lambda c: {name: make(c) for name, make in made}
    if not any(name in ("quantity", "title") for name, _ in made):  # one address, one contact, one price
        return lambda c: [{name: make(c) for name, make in made}]

    def lines(c: Context) -> list[dict[str, Any]]:
        parts = [c.of_line(line) for line in range(facts.line_count(c.index))]
        return [{name: make(part) for name, make in made} for part in parts]

    return lines
