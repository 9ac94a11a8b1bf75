"""Whatever a query says, it is refused with a reason or answered: no field, operator or value breaks a list."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.entities.model import Kind
from makini_operator.sandbox.problems import ApiError
from makini_operator.sandbox.query import OPERATORS, Query, parse
from makini_operator.sandbox.records.library import Library
from makini_operator.sandbox.records.search import Search
from makini_operator.sandbox.records.view import View

LIBRARY = Library()
SEARCHES = {name: Search(View(LIBRARY[name])) for name in ENTITIES}
FIELDS = [(name, field.name) for name, entity in ENTITIES.items() for field in entity.shape.fields]
VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "true", "0", "-1", "1e400", "NaN", "4.10", "9999-12-31"]),
    st.sampled_from(["2026-10-28", "2026-10-28T00:00:00+02:00", "2026-10-27T06:00:00Z"]),
    st.decimals().map(str),
    st.datetimes().map(str),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    place=st.sampled_from(FIELDS),
    operator=st.sampled_from(["", *OPERATORS]),
    value=VALUES,
    more=st.sampled_from([[], [("sort", "1")], [("sort", "0")], [("filterMatch", "any")]]),
)
async def test_a_filter_on_any_field_is_refused_or_answered(
    place: tuple[str, str], operator: str, value: str, more: list[tuple[str, str]]
) -> None:
    entity, field = place
    name = f"filter[{field}:{operator}]" if operator else f"filter[{field}]"
    rest = [(f"sort[{field}]" if key == "sort" else key, text) for key, text in more]
    await refused_or_right(entity, [(name, value), *rest])


@settings(max_examples=100, deadline=None)
@given(parameters=st.lists(st.tuples(st.from_regex(re.compile(r"(filter|sort)\[.*\]?|\w*"), fullmatch=True), VALUES)))
async def test_made_up_parameters_are_refused_or_ignored(parameters: list[tuple[str, str]]) -> None:
    await refused_or_right("purchase-orders", parameters)


async def refused_or_right(entity: str, parameters: list[tuple[str, str]]) -> None:
    query = refused_or_parsed(entity, parameters)
    if isinstance(query, ApiError):
        assert (query.status, query.code) == (400, "INVALID_PARAMETER")
        return
    found = list(await SEARCHES[entity].find(query))
    decide: Any = any if query.any_of and query.conditions else all
    collection = LIBRARY[entity]
    records = {index: collection.make(index) for index in range(collection.count)}
    expected = {
        index for index, record in records.items() if decide(one.holds(record[one.field]) for one in query.conditions)
    }
    assert set(found) == expected
    assert len(found) == len(expected)
    if query.sort is not None and found:
        field = ENTITIES[entity].shape.field(query.sort[0])
        values = [records[index][query.sort[0]] for index in found]
        if field is not None and field.kind is Kind.TIME:
            ordered = sorted(values, key=lambda value: value or "", reverse=query.sort[1])
            assert values == ordered


def refused_or_parsed(entity: str, parameters: list[tuple[str, str]]) -> Query | ApiError:
    try:
        return parse(parameters, ENTITIES[entity].shape)
    except ApiError as refused:
        return refused
