"""Records that change while they are read, and answers that look like success: what careless readers lose data by."""

import json
from typing import Any

import aiohttp
import pytest
from tests.unit.sandbox.box import Box, running

FAULTS, CHANGES = "/sandbox/faults", "/sandbox/changes"
ORDERS = "/api/erp/purchase-orders"


async def read_all(box: Box, token: str, order: str = "1", size: int = 5) -> list[dict[str, Any]]:
    """Every order, page by page, as a reader does who trusts the envelope."""
    rows, page, last = [], 1, 1
    while page <= last:
        path = f"{ORDERS}?page={page}&per_page={size}&sort[updatedAt]={order}"
        body = (await box.call("GET", path, token=token)).body
        rows += body["data"]
        page, last = page + 1, body["meta"]["last_page"]
    return rows


async def change(box: Box, *changes: dict[str, Any]) -> Any:
    return (await box.call("POST", CHANGES, json=list(changes))).body


async def test_changes_exist_only_when_allowed(box: Box) -> None:
    assert (await box.call("POST", CHANGES, json=[])).status == 404


async def test_a_changed_record_is_the_newest_and_says_so(faulty: Box) -> None:
    token = await faulty.connect()
    before = {row["key"]: row for row in await read_all(faulty, token)}
    assert await change(faulty, {"kind": "change", "entity": "purchase-orders", "keys": ["po-003"]}) == {"changed": 1}
    rows = await read_all(faulty, token)
    assert rows[0] == before["po-003"] | {"notes": "changed, version 1", "updatedAt": "2027-01-15T08:00:00Z"}
    assert {row["key"] for row in rows} == set(before)
    newer = (await faulty.call("GET", f"{ORDERS}?filter[updatedAt:gt]=2026-12-01", token=token)).body
    assert [row["key"] for row in newer["data"]] == ["po-003"]
    by_note = (await faulty.call("GET", f"{ORDERS}?filter[notes:startsWith]=changed", token=token)).body
    assert [row["key"] for row in by_note["data"]] == ["po-003"]


async def test_records_appear_and_vanish(faulty: Box) -> None:
    token = await faulty.connect()
    await change(
        faulty,
        {"kind": "appear", "entity": "purchase-orders", "count": 2},
        {"kind": "vanish", "entity": "purchase-orders", "keys": ["po-001", "po-013"]},
    )
    keys = [row["key"] for row in await read_all(faulty, token)]
    assert keys[:2] == ["po-027", "po-026"]
    assert len(keys) == len(set(keys)) == 25
    assert not {"po-001", "po-013"} & set(keys)
    for key, status in (("po-001", 404), ("po-026", 200), ("po-028", 404)):
        assert (await faulty.call("GET", f"{ORDERS}/{key}", token=token)).status == status
    body = {"poKey": "po-001"}
    assert (await faulty.call("POST", "/api/erp/receiving", token=token, json=body)).body["code"] == (
        "PURCHASE_ORDER_UNKNOWN"
    )
    await change(faulty, {"kind": "vanish", "entity": "purchase-orders", "keys": ["po-026"]})
    assert len(await read_all(faulty, token)) == 24


async def test_many_changes_leave_every_record_once() -> None:
    async with running(allow_faults=True, scale=1_000) as box:
        token = await box.connect()
        for _ in range(30):
            await change(box, {"kind": "change", "entity": "purchase-orders", "count": 17})
            await change(box, {"kind": "vanish", "entity": "purchase-orders", "count": 3})
        rows = await read_all(box, token, size=100)
        assert len(rows) == len({row["key"] for row in rows}) == 1_000 - 90
        moments = [row["updatedAt"] for row in rows]
        assert moments == sorted(moments, reverse=True)


async def test_a_record_is_marked_as_deleted_where_the_vendor_can(faulty: Box) -> None:
    token = await faulty.connect()
    await change(faulty, {"kind": "delete", "entity": "vendors", "keys": ["vendor-tools"]})
    gone = (await faulty.call("GET", "/api/erp/vendors/vendor-tools", token=token)).body["data"]
    assert gone["deletedAt"] == gone["updatedAt"] == "2027-01-15T08:00:00Z"
    answer = await faulty.call("POST", CHANGES, json=[{"kind": "delete", "entity": "purchase-orders"}])
    assert (answer.status, "deletedAt" in answer.body["message"]) == (400, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "change"}, [7], [{"kind": "explode", "entity": "vendors"}], [{"kind": "change", "entity": "nothing"}],
        [{"kind": "change", "entity": "vendors", "keys": ["nobody"]}],
        [{"kind": "change", "entity": "vendors", "count": 0}],
        [{"kind": "change", "entity": "purchase-orders.line-items"}],
    ],
)  # fmt: skip
async def test_changes_that_make_no_sense_are_explained(faulty: Box, wrong: object) -> None:
    answer = await faulty.call("POST", CHANGES, json=wrong)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_CHANGES")


@pytest.mark.parametrize(("order", "lost"), [("0", 5), ("1", 0)], ids=["oldest first", "newest first"])
async def test_drift_loses_records_for_who_reads_the_oldest_first(faulty: Box, order: str, lost: int) -> None:
    token = await faulty.connect()
    every = {row["key"] for row in await read_all(faulty, token)}
    drift = {"kind": "vanish", "path": f"{ORDERS}$", "query": "page=[2-9]", "times": -1, "count": 2}
    await faulty.call("POST", FAULTS, json=[drift])
    seen = {row["key"] for row in await read_all(faulty, token, order=order)}
    await faulty.call("DELETE", FAULTS)
    left = {row["key"] for row in await read_all(faulty, token)}
    assert left < every
    assert (len(left - seen) >= lost) if lost else left <= seen


async def test_a_list_that_changes_under_a_reader_shows_changes(faulty: Box) -> None:
    token = await faulty.connect()
    rules = [{"kind": kind, "path": f"{ORDERS}$", "skip": 1} for kind in ("change", "appear")]
    await faulty.call("POST", FAULTS, json=rules)
    before = await read_all(faulty, token, order="1")
    assert len(before) == 26  # the new one moved a row to the next page, where it is read again
    assert len({row["key"] for row in before}) < 26
    assert len(await read_all(faulty, token)) == 26


SPOILT = [
    ("no-envelope", lambda body: body == {}),
    ("empty-page", lambda body: body["data"] == [] and body["meta"]["total"] == 25),
    ("no-data", lambda body: "data" not in body and body["meta"]["total"] == 25),
    ("foreign-next", lambda body: body["links"]["next"].startswith("http://elsewhere.invalid/") and body["data"]),
]


@pytest.mark.parametrize(("kind", "is_spoilt"), SPOILT, ids=[kind for kind, _ in SPOILT])
async def test_a_page_looks_like_success_and_is_not(faulty: Box, kind: str, is_spoilt: Any) -> None:
    token = await faulty.connect()
    await faulty.call("POST", FAULTS, json=[{"kind": kind, "path": f"{ORDERS}$", "skip": 1}])
    path = f"{ORDERS}?per_page=5&page="
    pages = [(await faulty.call("GET", f"{path}{number}", token=token)) for number in (1, 2, 3)]
    assert [page.status for page in pages] == [200, 200, 200]
    assert is_spoilt(pages[1].body)
    assert not any(is_spoilt(page.body) for page in (pages[0], pages[2]))


async def test_a_body_is_cut_in_the_middle(faulty: Box) -> None:
    token = await faulty.connect()
    await faulty.call("POST", FAULTS, json=[{"kind": "truncate", "path": f"{ORDERS}$"}])
    headers = {"Authorization": f"Bearer {token}"}
    async with faulty.session.get(faulty.url + ORDERS, headers=headers) as response:
        assert response.status == 200
        wanted = int(response.headers["Content-Length"])
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    whole = (await faulty.call("GET", ORDERS, token=token)).body
    assert len(json.dumps(whole, separators=(",", ":"))) == wanted


async def test_rules_of_the_usual_kinds_fit_data_as_well(faulty: Box) -> None:
    token = await faulty.connect()
    rules = [{"kind": "status", "status": status, "path": ORDERS} for status in (429, 503)]
    await faulty.call("POST", FAULTS, json=[*rules, {"kind": "drop-after", "path": ORDERS}])
    first, second = [await faulty.call("GET", ORDERS, token=token) for _ in range(2)]
    assert (first.status, first.headers["Retry-After"], second.status) == (429, "1", 503)
    with pytest.raises(aiohttp.ClientError):  # not a GET: the client would repeat that by itself
        await faulty.call("POST", ORDERS, token=token, json={"vendorKey": "vendor-tools"})
    assert (await faulty.call("GET", ORDERS, token=token)).status == 200
