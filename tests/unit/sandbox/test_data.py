"""What a connection's token reaches: its own integration, and lists in the vendor's envelope."""

from typing import Any

import pytest
from tests.unit.sandbox.box import Box, running

from makini_operator.sandbox.entities.catalogue import ENTITIES

CURRENT = "/api/integrations/current"
ORDERS = "/api/erp/purchase-orders"


async def test_a_token_shows_its_own_connection_and_no_other(box: Box) -> None:
    tokens = {name: await box.connect(name=name) for name in ("A", "B")}
    for name, token in tokens.items():
        body = (await box.call("GET", CURRENT, token=token)).body["data"]
        assert (body["company_name"], body["provider"], body["sync_status"]) == (name, "netsuite", "done")
    listed = [(await box.call("GET", ORDERS, token=token)).body for token in tokens.values()]
    assert listed[0] == listed[1]


async def test_a_connection_can_close_itself_and_leaves_the_others_alone(box: Box) -> None:
    first, second = await box.connect(name="A"), await box.connect(name="B")
    assert (await box.call("DELETE", CURRENT, token=first)).status == 200
    for path in (CURRENT, ORDERS, "/api/eam/assets/asset-001"):
        assert (await box.call("GET", path, token=first)).status == 401
        assert (await box.call("GET", path, token=second)).status == 200
    assert len(await box.ids()) == 1


@pytest.mark.parametrize("api", ["erp", "eam"])
async def test_every_list_can_be_read_to_its_end_and_every_record_by_its_key(box: Box, api: str) -> None:
    token = await box.connect()
    for entity in ENTITIES.values():
        if api not in entity.apis:
            continue
        path, rows, page, last = f"/api/{api}/{entity.name}", [], 1, 1
        while page <= last:
            body = (await box.call("GET", f"{path}?page={page}&per_page=7", token=token)).body
            rows += body["data"]
            page, last = page + 1, body["meta"]["last_page"]
        assert len(rows) == entity.count == body["meta"]["total"], entity.name
        for row in rows if entity.has_one else ():
            assert (await box.call("GET", f"{path}/{row['key']}", token=token)).body == {"data": row}


async def test_pages_have_the_asked_size_up_to_a_hundred(box: Box) -> None:
    token = await box.connect()
    body = (await box.call("GET", f"{ORDERS}?page=3&per_page=10", token=token)).body
    path = f"{box.url}{ORDERS}"
    assert body["meta"] == {
        "current_page": 3, "from": 21, "last_page": 3, "path": path, "per_page": 10, "to": 25, "total": 25,
    }  # fmt: skip
    assert body["links"] == {
        "first": f"{path}?page=1", "last": f"{path}?page=3", "prev": f"{path}?page=2", "next": None,
    }  # fmt: skip
    assert (await box.call("GET", f"{ORDERS}?per_page=5000", token=token)).body["meta"]["per_page"] == 100
    beyond = (await box.call("GET", f"{ORDERS}?page=99", token=token)).body
    assert (beyond["data"], beyond["meta"]["from"], beyond["meta"]["total"]) == ([], None, 25)
    for wrong in ("per_page=0", "page=0", "page=x", "page=-1"):
        assert (await box.call("GET", f"{ORDERS}?{wrong}", token=token)).status == 400


async def test_a_list_that_has_no_per_page_ignores_it(box: Box) -> None:
    token = await box.connect()
    assert (await box.call("GET", "/api/erp/sites?per_page=1", token=token)).body["meta"]["per_page"] == 25


KEYS: list[tuple[str, list[str]]] = [
    ("filter[statusKey]=status-draft", ["po-021", "po-016", "po-011", "po-006", "po-001"]),
    ("filter[orderNo:startsWith]=PO-2026-002&sort[updatedAt]=0", [f"po-02{n}" for n in range(6)]),
    ("filter[title:contains]=parts 25", ["po-025"]),
    ("filter[updatedAt:gteq]=2026-10-30T12:00:00Z", ["po-025"]),
    ("filter[updatedAt:gt]=2026-10-30T12:00:00Z", []),
    ("filter[updatedAt:gt]=2026-10-30T13:30:00%2B02:00", ["po-025"]),
    ("filter[updatedAt:lt]=2026-10-24T18:00:00Z", ["po-001"]),
    ("filter[updatedAt:lted]=2026-10-24T18:00:00Z", ["po-002", "po-001"]),
    ("filter[updatedAt]=2026-10-24T18:00:00Z", ["po-002"]),
    ("filter[orderNo]=PO-2026-0003&filter[vendorKey]=vendor-tools", []),
    ("filterMatch=any&filter[orderNo]=PO-2026-0003&filter[orderNo]=PO-2026-0009", ["po-009", "po-003"]),
    ("filter[totalNetValue:gt]=200&sort[totalNetValue]=1", []),
    ("sort[orderNo]=0&per_page=2", ["po-001", "po-002"]),
    ("filter[approvedAt]=&per_page=1", ["po-021"]),
    ("unknown=1&filter=x&sort=y&per_page=1", ["po-025"]),
]


@pytest.mark.parametrize(("query", "expected"), KEYS, ids=[query for query, _ in KEYS])
async def test_filters_and_orders(box: Box, query: str, expected: list[str]) -> None:
    body: Any = (await box.call("GET", f"{ORDERS}?{query}", token=await box.connect())).body
    keys = [order["key"] for order in body["data"]]
    if query.startswith("filter[totalNetValue"):  # as numbers, not as text
        values = [float(order["totalNetValue"]) for order in body["data"]]
        assert values == sorted(values, reverse=True)
        assert min(values) > 200
        assert len(values) < 25
    else:
        assert keys == expected


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("filter[nothing]=1", "there are: key"),
        ("filter[lineItems]=1", "there are: key"),
        ("filter[title:like]=1", "contains"),
        ("filter[updatedAt:gt]=yesterday", "2026-11-07"),
        ("filter[totalNetValue:gt]=much", "a number"),
        ("filterMatch=some", "any or all"),
        ("sort[updatedAt]=desc", "1 for descending"),
        ("sort[nothing]=1", "there are: key"),
    ],
)
async def test_a_query_that_makes_no_sense_is_explained(box: Box, query: str, says: str) -> None:
    answer = await box.call("GET", f"{ORDERS}?{query}", token=await box.connect())
    assert (answer.status, answer.body["code"]) == (400, "INVALID_PARAMETER")
    assert says in answer.body["message"]


async def test_materials_are_listed_below_what_they_belong_to(box: Box) -> None:
    token = await box.connect()
    every = (await box.call("GET", "/api/eam/work-orders/materials?page=1", token=token)).body
    assert every["meta"]["total"] == ENTITIES["material-items"].count
    item = every["data"][0]
    for path, owner in (
        ("eam/work-orders/{}/materials", "workOrderKey"),
        ("eam/assets/{}/materials", "assetKey"),
        ("eam/asset-templates/{}/materials", "assetTemplateKey"),
        ("eam/pm/{}/materials", "pmKey"),
        ("erp/production-orders/{}/materials", "productionOrderKey"),
        ("erp/materials/{}/children", "assemblyKey"),
    ):
        body = (await box.call("GET", f"/api/{path.format(item[owner])}", token=token)).body
        assert item in body["data"]
        assert {row[owner] for row in body["data"]} == {item[owner]}
        assert (await box.call("GET", f"/api/{path.format('nobody')}", token=token)).status == 404


async def test_one_order_is_found_by_its_key(box: Box) -> None:
    token = await box.connect()
    assert (await box.call("GET", f"{ORDERS}/po-007", token=token)).body["data"]["orderNo"] == "PO-2026-0007"
    for key in ("po-999", "po-26", "po-026", "po--1", "po-٣", "x" * 500):
        missing = await box.call("GET", f"{ORDERS}/{key}", token=token)
        assert (missing.status, missing.body["code"]) == (404, "PURCHASE_ORDER_NOT_FOUND")


async def test_a_sync_is_asked_for_and_is_over_a_little_later(box: Box) -> None:
    token = await box.connect()
    assert (await box.call("POST", "/api/integrations/sync", token=token)).body["data"]["sync_status"] == "inprogress"
    status = "/api/integrations/sync/status"
    assert (await box.call("GET", status, token=token)).body["data"]["sync_status"] == "inprogress"
    other = await box.connect(name="B")
    assert (await box.call("GET", status, token=other)).body["data"]["sync_status"] == "done"
    box.clock.now += 2
    done = (await box.call("GET", status, token=token)).body["data"]
    assert done == {"sync_status": "done", "sync_updated_at": "2027-01-15T08:00:02Z"}


async def test_raw_tables_and_the_passthrough(box: Box) -> None:
    token = await box.connect()
    tables = [row["name"] for row in (await box.call("GET", "/api/raw/tables", token=token)).body["data"]]
    assert {"purchase_orders", "assets"} <= set(tables)
    rows = (await box.call("GET", "/api/raw/tables/vendors/data", token=token)).body
    assert rows["meta"]["total"] == ENTITIES["vendors"].count
    assert (await box.call("GET", "/api/raw/tables/nothing/data", token=token)).status == 404
    asked = {"method": "post", "path": "dataservice", "body": {"a": 1}}
    answer = (await box.call("POST", "/api/passthrough", token=token, json=asked)).body["data"]
    assert answer["body"]["asked"] == asked | {"sql": None, "query": None}
    for wrong in ({}, {"method": "brew", "path": "x"}, {"method": "get"}, []):
        assert (await box.call("POST", "/api/passthrough", token=token, json=wrong)).status == 400


async def test_a_million_orders_are_there_without_being_kept() -> None:
    async with running(scale=1_000_000) as box:
        token = await box.connect()
        first = (await box.call("GET", f"{ORDERS}?per_page=2", token=token)).body
        assert first["meta"]["total"] == 1_000_000
        assert [order["key"] for order in first["data"]] == ["po-1000000", "po-999999"]
        last = (await box.call("GET", f"{ORDERS}?per_page=100&page=10000", token=token)).body
        assert last["data"][-1]["key"] == "po-001"
        moment = last["data"][-3]["updatedAt"]
        since = (await box.call("GET", f"{ORDERS}?filter[updatedAt:gteq]={moment}", token=token)).body
        assert since["meta"]["total"] == 999_998
        one = (await box.call("GET", f"{ORDERS}/po-777777", token=token)).body["data"]
        line = one["lineItems"][-1]
        found = await box.call("GET", f"{ORDERS}.line-items/{line['key']}", token=token)
        assert {name: found.body["data"][name] for name in ("key", "quantity", "price", "lineTotalValue")} == {
            name: line[name] for name in ("key", "quantity", "price", "lineTotalValue")
        }
        lines = (await box.call("GET", f"{ORDERS}.line-items?per_page=1", token=token)).body
        assert lines["meta"]["total"] == sum(1 + index % 3 for index in range(1_000_000))
