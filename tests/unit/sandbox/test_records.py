"""Sample records hang together: keys point at records, money adds up, dates fit states, order is by change."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.entities.model import REFERRING, Entity, Kind, Shape, shape
from makini_operator.sandbox.entities.parts import PARTS
from makini_operator.sandbox.records.collection import first_line, order_of_line
from makini_operator.sandbox.records.library import Library
from makini_operator.sandbox.records.templates import Templates

LIBRARY = Library()
DOCUMENTS = [
    entity for entity in ENTITIES.values() if entity.states is not None and entity.shape.field("statusKey") is not None
]
PRICED = [entity for entity in ENTITIES.values() if entity.shape.field("totalGrossValue") is not None]


def records(entity: Entity) -> list[dict[str, Any]]:
    return [LIBRARY[entity.name].make(index) for index in range(LIBRARY[entity.name].count)]


def keys_of(shape: Shape, record: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(field, entity, key) of everything that a record refers to, its parts and embedded records included."""
    for field in shape.fields:
        value = record[field.name]
        if field.kind in REFERRING and value:
            keys = value if isinstance(value, list) else value.split(",")
            yield from ((field.name, field.target, key) for key in keys)
        elif field.kind in (Kind.PART, Kind.RECORD):
            yield from keys_of(inner(field.kind, field.target), value)
        elif field.kind in (Kind.PARTS, Kind.RECORDS):
            for part in value:
                yield from keys_of(inner(field.kind, field.target), part)


def inner(kind: Kind, target: str) -> Shape:
    return PARTS[target] if kind in (Kind.PART, Kind.PARTS) else ENTITIES[target].shape


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda entity: entity.name)
def test_every_key_points_at_a_record_that_exists(entity: Entity) -> None:
    collection = LIBRARY[entity.name]
    for index, record in enumerate(records(entity)):
        if "key" in record:
            assert record["key"] == collection.key(index)
            assert collection.index(record["key"]) == index
        for field, target, key in keys_of(entity.shape, record):
            found = LIBRARY[target].index(key)
            assert found is not None, (field, target, key)
            assert found < LIBRARY[target].count, (field, target, key)


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda entity: entity.name)
def test_every_field_is_there_in_order_and_changes_come_in_order(entity: Entity) -> None:
    names = [field.name for field in entity.shape.fields]
    for record in records(entity):
        assert [name for name in record if name != "customFields"] == names
    if entity.cursor:
        moments = [record[entity.cursor] for record in records(entity)]
        assert moments == sorted(moments)
    fields = [name for name, _ in LIBRARY[entity.name]._makers]
    for name in fields:
        assert LIBRARY[entity.name].getter(name)(1) == records(entity)[1][name]


@pytest.mark.parametrize("entity", PRICED, ids=lambda entity: entity.name)
def test_a_document_is_the_sum_of_its_lines(entity: Entity) -> None:
    for record in records(entity):
        lines = record["lineItems"]
        assert lines
        net = sum(Decimal(line["lineTotalValue"]) for line in lines)
        tax = sum(Decimal(line["lineTaxValue"]) for line in lines)
        assert Decimal(record["totalNetValue"]) == net
        assert Decimal(record["totalGrossValue"]) == net + tax
        assert Decimal(record.get("totalTaxValue", tax)) == tax
        for line in lines:
            assert Decimal(line["quantity"]) * Decimal(line["price"]) == Decimal(line["lineTotalValue"])
            assert line["currencyKey"] == record.get("currencyKey", "EUR")
            assert line.get("vendorKey") == record.get("vendorKey", line.get("vendorKey"))


@pytest.mark.parametrize("entity", DOCUMENTS, ids=lambda entity: entity.name)
def test_a_document_has_what_its_state_says(entity: Entity) -> None:
    states = entity.states
    assert states is not None
    seen = set()
    for record in records(entity):
        state = states.of(record["statusKey"])
        assert state is not None
        seen.add(state.code)
        every = {name for one in states.states for name in one.fills if name in record}
        assert {name for name in every if record[name] is not None} == every & set(state.fills)
        moments = [record[name] for name in state.fills if name.endswith("At")]
        assert moments == sorted(moments)
        lines = [line for line in record.get("lineItems", ()) if "receivedQuantity" in line]
        got = [(Decimal(line["receivedQuantity"]), Decimal(line["quantity"])) for line in lines]
        if lines and state.received == "part":
            assert 0 < got[0][0] < got[0][1]
            assert not any(have for have, _ in got[1:])
        assert state.received == "part" or all(have == (all_ if state.received == "all" else 0) for have, all_ in got)
    assert seen == set(states.cycle)
    if states.family:
        listed = {record["key"] for record in records(ENTITIES[f"statuses/{states.family}"])}
        assert listed == {states.key(state.code) for state in states.states}


def test_every_state_of_an_order_is_there_with_and_without_custom_fields() -> None:
    kinds = {(order["statusKey"], "customFields" in order) for order in records(ENTITIES["purchase-orders"])}
    assert kinds == {(f"status-{state}", custom) for state in ("draft", "approved", "completed") for custom in (0, 1)}


def test_lines_are_counted_without_looking_at_orders() -> None:
    expected = [(order, line) for order in range(100) for line in range(1 + order % 3)]
    assert [order_of_line(index) for index in range(len(expected))] == expected
    assert all(expected[first_line(order)] == (order, 0) for order in range(100))


def test_the_same_number_of_orders_is_the_same_data() -> None:
    one, other = Library(5_000), Library(5_000)
    for index in (0, 17, 4_999):
        assert one["purchase-orders"].make(index) == other["purchase-orders"].make(index)


@pytest.mark.parametrize("word", ["a-b", "a>", ":x", "a::b", "a>b>c"])
def test_a_word_that_describes_no_field_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="expected a field"):
        shape("Wrong", word)


@pytest.mark.parametrize("name", ["purchase-orders", "purchase-orders.line-items"])
def test_templates_write_what_the_rules_make(name: str) -> None:
    collection = Library(1_000_000)[name]
    templates = Templates(collection)
    for index in [*range(1_500), 99_998, 99_999, 100_000, 999_999, *range(500_000, 700_000, 997)]:
        assert json.loads(templates.record(index)) == collection.make(index), index
