"""Misfortune on demand, and what a test may look at afterwards."""

import json

import aiohttp
import pytest
from tests.unit.sandbox.box import CONNECTIONS, NEW, Box, running

FAULTS = "/sandbox/faults"


async def test_faults_exist_only_when_allowed(box: Box) -> None:
    for method, path in (("POST", FAULTS), ("DELETE", FAULTS), ("GET", "/sandbox/requests")):
        assert (await box.call(method, path, json=[])).status == 404


async def test_a_status_comes_as_often_as_asked_and_has_no_effect(faulty: Box) -> None:
    rule = {"kind": "status", "status": 429, "retry_after": 7, "path": CONNECTIONS, "method": "POST", "times": 2}
    assert (await faulty.call("POST", FAULTS, json=[rule])).body == {"rules": 1}
    for _ in range(2):
        answer = await faulty.call("POST", CONNECTIONS, json=NEW)
        assert (answer.status, answer.body["code"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert answer.headers["Retry-After"] == "7"
    assert await faulty.ids() == []
    await faulty.connect()


async def test_a_reply_can_be_lost_after_the_effect(faulty: Box) -> None:
    await faulty.call("POST", FAULTS, json=[{"kind": "drop-after", "path": CONNECTIONS, "method": "POST"}])
    with pytest.raises(aiohttp.ClientError):
        await faulty.call("POST", CONNECTIONS, json=NEW)
    assert len(await faulty.ids()) == 1


async def test_a_request_can_be_lost_before_the_effect(faulty: Box) -> None:
    await faulty.call("POST", FAULTS, json=[{"kind": "drop-before", "path": CONNECTIONS, "method": "POST"}])
    with pytest.raises(aiohttp.ClientError):
        await faulty.call("POST", CONNECTIONS, json=NEW)
    assert await faulty.ids() == []


@pytest.mark.parametrize(("status", "expected"), [({}, 502), ({"status": 404}, 404)])
async def test_a_gateway_answers_html(faulty: Box, status: dict[str, int], expected: int) -> None:
    await faulty.call("POST", FAULTS, json=[{"kind": "gateway", "path": "/client$", **status}])
    answer = await faulty.call("GET", "/api/system/client")
    assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (expected, "text/html")


async def test_latency_serves_the_request_later(faulty: Box) -> None:
    await faulty.call("POST", FAULTS, json=[{"kind": "latency", "seconds": 0.01, "path": "."}])
    await faulty.connect()


async def test_faults_are_cleared(faulty: Box) -> None:
    await faulty.call("POST", FAULTS, json=[{"kind": "status", "path": ".", "times": -1}])
    assert (await faulty.call("GET", CONNECTIONS)).status == 500
    await faulty.call("DELETE", FAULTS)
    assert (await faulty.call("GET", CONNECTIONS)).status == 200


@pytest.mark.parametrize(
    "rules",
    [
        {},
        [1],
        [{}],
        [{"kind": "flood", "path": "."}],
        [{"kind": "status", "path": "("}],
        [{"kind": "status", "path": ".", "status": 200}],
        [{"kind": "status", "path": ".", "times": "many"}],
        [{"kind": "drop-after", "path": "."}, {"kind": "status"}],
    ],
)
async def test_a_wrong_rule_is_refused_and_none_is_added(faulty: Box, rules: object) -> None:
    answer = await faulty.call("POST", FAULTS, json=rules)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_FAULTS")
    await faulty.connect()


async def test_requests_are_counted_by_method_and_route(faulty: Box) -> None:
    await faulty.connect()
    (connection_id,) = await faulty.ids()
    await faulty.call("DELETE", f"{CONNECTIONS}/{connection_id}")
    await faulty.call("DELETE", f"{CONNECTIONS}/{connection_id}")
    counts = (await faulty.call("GET", "/sandbox/requests")).body
    assert counts[f"POST {CONNECTIONS}"] == 1
    assert counts[f"DELETE {CONNECTIONS}/{{id}}"] == 2


async def test_every_connection_that_ever_was_is_shown_to_the_account_only(faulty: Box) -> None:
    token = await faulty.connect()
    await faulty.call("DELETE", f"{CONNECTIONS}/{(await faulty.ids())[0]}")
    await faulty.connect(name="Second")
    body = (await faulty.call("GET", "/sandbox/connections")).body
    assert [(row["name"], row["status"]) for row in body["data"]] == [("Acme", "disconnected"), ("Second", "active")]
    assert body["data"][0]["disconnected_at"] == "2027-01-15T08:00:00Z"
    assert "canary" not in json.dumps(body)
    assert (await faulty.call("GET", "/sandbox/connections", token=token)).status == 401


async def test_a_bug_answers_in_the_apis_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as box:
        monkeypatch.setattr("makini_operator.sandbox.accounts.envelope", None)
        answer = await box.call("GET", CONNECTIONS)
    assert (answer.status, answer.body["code"], answer.body["type"]) == (500, "INTERNAL_ERROR", "server_error")
