"""A page is believed only when it is what its envelope promises."""

import json
from typing import Any

import pytest

from makini_operator.sync.entities import find_entity
from makini_operator.sync.envelope import Number, read_page
from makini_operator.sync.errors import NotWhole

ORDERS = find_entity("erp/purchase-orders")


def body(count: int = 2, **meta: Any) -> dict[str, Any]:
    data = [{"key": f"k{i}", "updatedAt": "2026-11-01T08:00:00Z", "lineItems": []} for i in range(count)]
    return {"data": data, "meta": {"current_page": 1, "last_page": 1, "per_page": 10, "total": count, **meta}}


def read(content: Any, number: int = 1) -> Any:
    return read_page(json.dumps(content).encode(), number=number, entity=ORDERS)


def test_a_whole_page_is_read() -> None:
    page = read(body(2))
    assert (page.total, page.last, [record.key for record in page.records]) == (2, 1, ["k0", "k1"])


def test_an_empty_list_is_one_empty_page() -> None:
    assert read(body(0)).records == ()
    assert read(body(0, last_page=0)).last == 1


def test_numbers_as_text_are_numbers() -> None:
    assert read(body(2, per_page="10", total="2")).per_page == 10


@pytest.mark.parametrize(
    "meta",
    [
        {"total": 3}, {"total": None}, {"total": -1}, {"total": True}, {"total": 2.0}, {"per_page": 0}, {"per_page": 1},
        {"current_page": 2}, {"last_page": 2}, {"current_page": None},
    ],
)  # fmt: skip
def test_a_page_at_odds_with_its_meta_is_refused(meta: dict[str, Any]) -> None:
    with pytest.raises(NotWhole, match=r"page 1 of erp/purchase-orders"):
        read(body(2, **meta))


@pytest.mark.parametrize("content", [None, [], "text", {}, {"data": {}}, {"data": []}, {"data": None, "meta": {}}])
def test_what_is_no_page_is_refused(content: Any) -> None:
    with pytest.raises(NotWhole):
        read(content)


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"data": [NaN], "meta": {}}', "[" * 100_000, "\x00"])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(NotWhole):
        read_page(text.encode(), number=1, entity=ORDERS)


@pytest.mark.parametrize(
    "record",
    [
        None,
        7,
        {},
        {"key": ""},
        {"key": None},
        {"key": True},
        {"key": "x" * 501},
        {"key": "k"},
        {"key": "k", "updatedAt": 7},
    ],
)
def test_what_is_no_record_is_refused(record: Any) -> None:
    content = body(1)
    content["data"] = [record]
    with pytest.raises(NotWhole):
        read(content)


def test_a_number_keeps_what_the_source_wrote() -> None:
    record = b'{"key":"k","updatedAt":"2026-11-01","price":24.10}'
    content = b'{"data":[' + record + b'],"meta":{"current_page":1,"per_page":5,"total":1}}'
    price = read_page(content, number=1, entity=ORDERS).records[0].content["price"]
    assert isinstance(price, Number)
    assert (price.text, price) == ("24.10", 24.1)
