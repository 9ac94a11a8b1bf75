"""Writes are checked as a real system would, answered as if done, and change nothing."""

import random
from typing import Any

import aiohttp
import pytest
from tests.unit.sandbox.box import Box

from makini_operator.sandbox.data import MAX_PER_PAGE
from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.entities.model import Field, Kind
from makini_operator.sandbox.records.library import Library
from makini_operator.sandbox.validation import put_fields

ORDERS = "/api/erp/purchase-orders"
WORK = "/api/eam/work-orders"
LIBRARY = Library()
NOW = "2027-01-15T08:00:00Z"
VENDOR = {"vendorKey": "vendor-bearings"}


async def write(box: Box, method: str, path: str, body: Any) -> tuple[int, Any]:
    answer = await box.call(method, path, token=await box.connect(), json=body)
    return answer.status, answer.body


async def test_a_new_order_is_answered_as_it_would_be(box: Box) -> None:
    lines = [{"materialKey": "mat-6204", "quantity": 3, "price": "4.10"}]
    body = VENDOR | {"title": "Bearings", "code": "never comes back", "totalNetValue": 12.3, "lineItems": lines}
    status, answer = await write(box, "POST", ORDERS, body)
    order = answer["data"]
    assert status == 200
    assert (order["title"], order["statusKey"], order["totalNetValue"]) == ("Bearings", "status-draft", "12.3")
    assert order["updatedAt"] == NOW
    assert order["lineItems"][0]["key"] == f"{order['key']}-1"
    assert (order["lineItems"][0]["materialKey"], order["lineItems"][0]["quantity"]) == ("mat-6204", "3")
    assert list(order) == [field.name for field in ENTITIES["purchase-orders"].shape.fields]
    token = await box.connect()
    assert (await box.call("GET", f"{ORDERS}/{order['key']}", token=token)).status == 404


async def test_a_changed_order_keeps_what_was_not_said(box: Box) -> None:
    token = await box.connect()
    before = (await box.call("GET", f"{ORDERS}/po-001", token=token)).body["data"]
    answer = await box.call("PUT", f"{ORDERS}/po-001", token=token, json={"title": "New", "notes": None})
    assert answer.body["data"] == before | {"title": "New", "updatedAt": NOW}
    assert (await box.call("GET", f"{ORDERS}/po-001", token=token)).body["data"] == before


async def test_an_approval_fills_what_belongs_to_it(box: Box) -> None:
    status, answer = await write(box, "PUT", f"{ORDERS}/po-001/status", {"status": "approved"})
    assert (status, answer["data"]["statusKey"], answer["data"]["approvedAt"]) == (200, "status-approved", NOW)
    status, answer = await write(box, "PUT", f"{WORK}/wo-001/status", {"statusKey": "work-scheduled"})
    assert (status, answer["data"]["status"], answer["data"]["scheduledAt"]) == (200, "scheduled", NOW)


async def test_counted_stock_and_used_material_are_answered(box: Box) -> None:
    status, answer = await write(box, "PUT", "/api/erp/materials/mat-6204/inventory", {"quantity": 7})
    assert (status, answer["data"]["inventories"][0]["quantity"]) == (200, 7)
    use = {"materialKey": "mat-6204", "storeroomKey": "store-1", "requiredQuantity": "2", "usedQuantity": 0}
    status, answer = await write(box, "POST", f"{WORK}/wo-001/materials", use)
    assert (status, answer["data"]["key"], answer["data"]["materialCount"]) == (200, "wo-001", "2")
    assert (await write(box, "PUT", f"{WORK}/wo-001/materials/mat-6204", use))[0] == 200


async def test_a_document_is_uploaded(box: Box) -> None:
    token = await box.connect()
    form = aiohttp.FormData({"name": "Plan.pdf"})
    form.add_field("file", b"%PDF", filename="plan.pdf", content_type="application/pdf")
    answer = await box.call("POST", "/api/eam/documents", token=token, data=form)
    assert (answer.status, answer.body["data"]["name"], answer.body["data"]["contentType"]) == (
        200, "Plan.pdf", "application/pdf",
    )  # fmt: skip
    lonely = aiohttp.FormData({"name": "Plan.pdf"}, default_to_multipart=True)
    for wrong in ({"data": lonely}, {"json": {"name": "Plan.pdf"}}, {"data": b"x", "headers": {}}):
        wrong.pop("headers", None)
        assert (await box.call("POST", "/api/eam/documents", token=token, **wrong)).body["code"] == "VALIDATION_FAILED"


USE = {"materialKey": "mat-6204", "storeroomKey": "store-1", "requiredQuantity": 1, "usedQuantity": 0}
WRONG = [
    ("POST", ORDERS, {}, "VALIDATION_FAILED"),
    ("POST", ORDERS, [], "VALIDATION_FAILED"),
    ("POST", ORDERS, {"vendorKey": ""}, "VALIDATION_FAILED"),
    ("POST", ORDERS, {"vendorKey": "nobody"}, "VENDOR_UNKNOWN"),
    ("POST", ORDERS, {"vendorKey": 7}, "VALIDATION_FAILED"),
    ("POST", ORDERS, VENDOR | {"dueAt": "soon"}, "VALIDATION_FAILED"),
    ("POST", ORDERS, VENDOR | {"totalNetValue": "much"}, "VALIDATION_FAILED"),
    ("POST", ORDERS, VENDOR | {"statusKey": "status-lost"}, "STATUS_UNKNOWN"),
    ("POST", ORDERS, VENDOR | {"lineItems": [{"materialKey": "mat-gear-m2"}]}, "OUT_OF_STOCK"),
    ("POST", ORDERS, VENDOR | {"lineItems": [{"materialKey": "mat-none"}]}, "MATERIAL_UNKNOWN"),
    ("POST", ORDERS, VENDOR | {"lineItems": [{"quantity": 0}]}, "VALIDATION_FAILED"),
    ("POST", ORDERS, VENDOR | {"lineItems": 7}, "VALIDATION_FAILED"),
    ("PUT", f"{ORDERS}/po-002", {"title": "late"}, "PURCHASE_ORDER_LOCKED"),
    ("PUT", f"{ORDERS}/po-003", {"title": "late"}, "PURCHASE_ORDER_LOCKED"),
    ("PUT", f"{ORDERS}/po-001", {"code": None}, "VALIDATION_FAILED"),
    ("PUT", f"{ORDERS}/po-001", {"statusKey": "status-completed"}, "STATUS_NOT_ALLOWED"),
    ("PUT", f"{ORDERS}/po-001/status", {"status": "lost"}, "STATUS_UNKNOWN"),
    ("PUT", f"{ORDERS}/po-001/status", {"status": "completed"}, "STATUS_NOT_ALLOWED"),
    ("PUT", f"{ORDERS}/po-003/status", {"status": "draft"}, "STATUS_NOT_ALLOWED"),
    ("PUT", f"{ORDERS}/po-001/status", {}, "VALIDATION_FAILED"),
    ("PUT", f"{WORK}/wo-001/status", {"status": "scheduled"}, "VALIDATION_FAILED"),
    ("POST", f"{WORK}/wo-001/materials", {}, "VALIDATION_FAILED"),
    ("POST", f"{WORK}/wo-001/materials", USE | {"requiredQuantity": 121}, "OUT_OF_STOCK"),
    ("POST", f"{WORK}/wo-001/materials", USE | {"materialKey": "mat-gear-m2"}, "OUT_OF_STOCK"),
    ("POST", f"{WORK}/wo-004/materials", USE, "WORK_ORDER_LOCKED"),
    ("POST", "/api/erp/sales-orders", {"customerKey": "customer-001", "lines": [{"productKey": "product-gearbox"}]},
     "OUT_OF_STOCK"),
    ("POST", "/api/erp/receiving", {"poKey": "po-999"}, "PURCHASE_ORDER_UNKNOWN"),
    ("PUT", "/api/erp/inventories/inv-001", {"quantity": "7"}, "VALIDATION_FAILED"),
    ("PUT", "/api/erp/inventories/inv-001", {"quantity": True}, "VALIDATION_FAILED"),
    ("PUT", "/api/erp/materials/mat-6204", {"siteKeys": ["site-9"]}, "SITE_UNKNOWN"),
    ("PUT", "/api/erp/materials/mat-6204", {"isActive": "yes"}, "VALIDATION_FAILED"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "code"), WRONG)
async def test_a_wrong_write_is_an_error_that_says_why(
    box: Box, method: str, path: str, body: object, code: str
) -> None:
    status, answer = await write(box, method, path, body)
    assert (status, answer["code"], answer["type"]) == (400, code, "invalid_request")
    assert answer["message"]
    assert answer["request_id"].startswith("rq_")


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', '{"a": 1e999}', "[" * 50 + "]" * 50, "[" * 100_000])
async def test_a_body_that_is_not_json_or_too_deep_is_refused(box: Box, text: str) -> None:
    answer = await box.call("POST", ORDERS, token=await box.connect(), data=text)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_JSON")


async def test_a_record_that_is_not_there_cannot_be_changed(box: Box) -> None:
    for path in (f"{ORDERS}/po-999", f"{ORDERS}/po-999/status", "/api/erp/materials/none/inventory"):
        assert (await write(box, "PUT", path, {"title": "x"}))[0] == 404


async def test_a_thousand_random_writes_change_nothing(box: Box) -> None:
    token, chance, accepted = await box.connect(), random.Random(7), 0  # noqa: S311 - the same writes every time
    before = await everything(box, token)
    for _ in range(1_000):
        method, path, body = some_write(chance)
        answer = await box.call(method, path, token=token, json=body)
        assert answer.status in (200, 400), (method, path, body, answer.body)
        accepted += answer.status == 200
    assert accepted > 300
    assert await everything(box, token) == before


async def everything(box: Box, token: str) -> dict[str, Any]:
    """Every record of every list of both APIs."""
    found: dict[str, Any] = {}
    for entity in ENTITIES.values():
        for api in entity.apis:
            path = f"/api/{api}/{entity.name}"
            body = (await box.call("GET", f"{path}?per_page={MAX_PER_PAGE}", token=token)).body
            found[path] = body["data"]
            if body["meta"]["last_page"] > 1:
                found[path + "+"] = (await box.call("GET", f"{path}?page=2", token=token)).body["data"]
    assert sum(map(len, found.values())) > 500
    return found


def some_write(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    entity = chance.choice([one for one in ENTITIES.values() if one.writes and not one.writes.is_upload])
    writes = entity.writes
    assert writes is not None
    key = LIBRARY.key(entity.name, chance.randrange(entity.count))
    kinds = [("POST", api, "") for api in writes.create] + [("PUT", api, f"/{key}") for api in writes.update]
    if writes.status and chance.random() < 0.3:
        states = entity.states
        assert states is not None
        word = chance.choice(states.states).code
        return "PUT", f"/api/{entity.apis[0]}/{entity.name}/{key}/status", {writes.status: word}
    method, api, below = chance.choice(kinds)
    fields = list(writes.body.fields) if method == "POST" else put_fields(writes)
    names = set(writes.required) | {field.name for field in fields if chance.random() < 0.3}
    body = {field.name: some_value(field, chance) for field in fields if field.name in names}
    if entity.states is not None and "statusKey" in body:
        body["statusKey"] = entity.states.key(chance.choice(entity.states.states).code)
    return method, f"/api/{api}/{entity.name}{below}", body


def some_value(field: Field, chance: random.Random) -> Any:
    key = LIBRARY.key(field.target, chance.randrange(ENTITIES[field.target].count)) if field.target else ""
    wrong = chance.random() < 0.05
    return {
        Kind.FLAG: "no flag" if wrong else chance.random() < 0.5,
        Kind.WHOLE: "no number" if wrong else chance.randrange(100),
        Kind.NUMBER: "no number" if wrong else chance.choice(["1.50", 7, 2.25]),
        Kind.TIME: "no time" if wrong else NOW,
        Kind.LIST: [],
        Kind.REFERENCE: "nobody" if wrong else key,
        Kind.REFERENCES: ["nobody"] if wrong else [key],
        Kind.REFERENCE_TEXT: key,
    }.get(field.kind, "text")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded; charset=nothing", b"a=b"),
        ("application/x-www-form-urlencoded", b"a=\xff"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=a", b"--a\r\n\xff: \x01\r\n\r\nx"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(box: Box, kind: str, body: bytes) -> None:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {await box.connect()}"}
    for path in ("/link/token", "/api/eam/documents"):
        async with box.session.post(box.url + path, data=body, headers=headers) as response:
            assert response.status == 400
            assert (await response.json())["type"] == "invalid_request"
