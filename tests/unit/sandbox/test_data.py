"""What a connection's token reaches: its own integration, and sample orders that hang together."""

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.sandbox.box import Box

from makini_operator.sandbox.sample_orders import ORDERS

CURRENT = "/api/integrations/current"
ORDERS_PATH = "/api/erp/purchase-orders"


async def test_a_token_shows_its_own_connection_and_no_other(box: Box) -> None:
    tokens = {name: await box.connect(name=name) for name in ("A", "B")}
    for name, token in tokens.items():
        body = (await box.call("GET", CURRENT, token=token)).body["data"]
        assert (body["company_name"], body["provider"], body["sync_status"]) == (name, "netsuite", "done")


async def test_a_connection_can_close_itself_and_leaves_the_others_alone(box: Box) -> None:
    first, second = await box.connect(name="A"), await box.connect(name="B")
    assert (await box.call("DELETE", CURRENT, token=first)).status == 200
    assert (await box.call("GET", CURRENT, token=first)).status == 401
    assert (await box.call("GET", CURRENT, token=second)).status == 200
    assert len(await box.ids()) == 1


async def test_orders_come_in_pages_of_the_asked_size_up_to_a_hundred(box: Box) -> None:
    token = await box.connect()
    keys: list[str] = []
    for number in (1, 2, 3):
        body = (await box.call("GET", f"{ORDERS_PATH}?page={number}&per_page=10", token=token)).body
        assert body["meta"]["total"] == 25
        keys += [order["key"] for order in body["data"]]
    assert len(set(keys)) == 25
    body = (await box.call("GET", f"{ORDERS_PATH}?per_page=5000", token=token)).body
    assert body["meta"]["per_page"] == 100
    assert (await box.call("GET", f"{ORDERS_PATH}?per_page=0", token=token)).status == 400


async def test_one_order_is_found_by_its_key(box: Box) -> None:
    token = await box.connect()
    assert (await box.call("GET", f"{ORDERS_PATH}/po-007", token=token)).body["data"]["orderNo"] == "PO-2026-0007"
    missing = await box.call("GET", f"{ORDERS_PATH}/po-999", token=token)
    assert (missing.status, missing.body["code"]) == (404, "PURCHASE_ORDER_NOT_FOUND")


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order["key"])
def test_an_order_adds_up_and_its_dates_fit_its_state(order: dict[str, Any]) -> None:
    lines = order["lineItems"]
    assert Decimal(order["totalNetValue"]) == sum(Decimal(line["lineTotalValue"]) for line in lines)
    taxes = sum(Decimal(line["lineTaxValue"]) for line in lines)
    assert abs(Decimal(order["totalGrossValue"]) - Decimal(order["totalNetValue"]) - taxes) < Decimal("0.05")
    received = [(Decimal(line["receivedQuantity"]), Decimal(line["quantity"])) for line in lines]
    state = order["statusKey"].removeprefix("status-")
    assert (order["approvedAt"] is None) == (state == "draft")
    assert (order["completedAt"] is None) == (state != "completed")
    if state == "draft":
        assert all(got == 0 for got, _ in received)
    if state == "approved":
        assert 0 < received[0][0] < received[0][1]
    if state == "completed":
        assert all(got == wanted for got, wanted in received)


def test_every_state_is_there_with_and_without_custom_fields() -> None:
    kinds = {(order["statusKey"], "customFields" in order) for order in ORDERS}
    assert kinds == {(f"status-{state}", custom) for state in ("draft", "approved", "completed") for custom in (0, 1)}
    assert [order["updatedAt"] for order in ORDERS] == sorted((order["updatedAt"] for order in ORDERS), reverse=True)
