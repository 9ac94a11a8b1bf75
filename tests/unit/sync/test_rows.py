"""Records become rows without losing or inventing anything."""

import json
from typing import Any

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given
from hypothesis import strategies as st

from makini_operator.sync.entities import all_entities, column_name, find_entity
from makini_operator.sync.envelope import Number, Record
from makini_operator.sync.errors import NotWhole
from makini_operator.sync.rows import as_text, to_rows

ORDERS = find_entity("erp/purchase-orders")
LINES = "erp_purchase_orders_line_items"


def rows(**content: Any) -> Any:
    return to_rows(Record(key=content.get("key", "k"), changed=None, content={"key": "k", **content}), ORDERS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None), ("", ""), ("24.10", "24.10"), (Number("24.10"), "24.10"), (5, "5"), (True, "true"),
        (10**30, "1" + "0" * 30), ({"b": 1, "a": "ü"}, '{"a": "ü", "b": 1}'), ([], "[]"), ("a\0b", "a\ufffdb"),
        ("\ud800", "\ufffd"), ("😀", "😀"),
        ({"cost": Number("24.10"), "far": [Number("1e400")]}, '{"cost": 24.10, "far": [1e400]}'),
        ([Number("0.12345678901234567890"), True, None, "\n"], '[0.12345678901234567890, true, null, "\\n"]'),
        ({"\0": {"\ud800": 1}}, '{"\\u0000": {"\ufffd": 1}}'),
    ],
)  # fmt: skip
def test_a_value_is_the_text_that_the_source_wrote(value: Any, text: str | None) -> None:
    assert as_text(value) == text


@given(st.text())
def test_any_text_can_be_stored(text: str) -> None:
    stored = as_text(text)
    assert stored is not None
    stored.encode()
    assert "\0" not in stored


def test_lines_have_keys_of_their_own_within_their_order() -> None:
    made = rows(lineItems=[{"key": "1"}, {"key": "1"}, {"key": "a/b"}, {"name": "no key"}])
    assert [row["_makini_key"] for row in made.tables[LINES]] == ["k/1", "k/1#2", "k/a%2Fb", "k/3"]
    assert {row["_makini_parent"] for row in made.tables[LINES]} == {"k"}


@pytest.mark.parametrize("told", [{}, {"lineItems": None}])
def test_a_list_that_is_not_told_is_no_empty_one(told: dict[str, Any]) -> None:
    assert set(rows(**told).tables) == {"erp_purchase_orders"}
    assert rows(lineItems=[]).tables[LINES] == []
    assert rows(**told).digest != rows(lineItems=[]).digest


def test_keys_of_lines_never_collide_with_those_that_are_made_for_repeated_ones() -> None:
    made = rows(lineItems=[{"key": "a"}, {"key": "a"}, {"key": "a#2"}, {"key": "a%232"}, {"key": 4}, {}])
    keys = [row["_makini_key"] for row in made.tables[LINES]]
    assert keys == ["k/a", "k/a#2", "k/a%232", "k/a%25232", "k/4", "k/5"]


@given(st.lists(st.one_of(st.text("a#2%/", max_size=4), st.integers(0, 3), st.none()), max_size=8))
def test_every_line_has_a_key_of_its_own(keys: list[Any]) -> None:
    made = [row["_makini_key"] for row in rows(lineItems=[{"key": key} for key in keys]).tables[LINES]]
    assert len(set(made)) == len(keys)


def test_what_is_nested_too_deeply_says_so() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(NotWhole, match="field 'custom' is nested too deeply"):
        rows(custom=deep)


def test_any_difference_changes_the_digest_and_none_does_not() -> None:
    base = rows(title="a", lineItems=[{"key": "1", "quantity": 1}])
    assert rows(lineItems=[{"quantity": 1, "key": "1"}], title="a").digest == base.digest
    others = [rows(title="b", lineItems=[{"key": "1", "quantity": 1}]), rows(title="a", lineItems=[])]
    others.append(rows(title="a", lineItems=[{"key": "1", "quantity": 2}]))
    assert base.digest not in {other.digest for other in others}


@pytest.mark.parametrize("name", ["orderno", "order_no", "_makini_key", "_dlt_id", "!"])
def test_two_fields_never_share_a_column(name: str) -> None:
    with pytest.raises(NotWhole, match="share the column"):
        rows(orderNo="1", **{name if name != "orderno" else "order-no": "2"})


def test_names_are_those_that_dlt_would_make_and_no_two_tables_are_the_same() -> None:
    naming = NamingConvention()
    names = {name for entity in all_entities() for fields in (entity.fields, *entity.lists.values()) for name in fields}
    assert {name: column_name(name) for name in names} == {name: naming.normalize_identifier(name) for name in names}
    tables = [table for entity in all_entities() for table in entity.tables]
    assert sorted(set(tables)) == sorted(tables)
    assert [naming.normalize_identifier(table) for table in tables] == tables
    assert max(map(len, tables)) < 60


def test_rows_survive_the_spool() -> None:
    made = rows(title="\u2028\x1f\x7f", lineItems=[{"key": "1", "name": '"'}])
    assert json.loads(json.dumps(made.tables)) == made.tables
