"""The account's side: sign-in, connections, tokens, metadata, catalogue."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.sandbox.box import CLIENT_ID, CONNECTIONS, NEW, SECRET, Answer, Box, running

from makini_operator.sandbox.context import account_id

GRANT = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET}
CURRENT = "/api/integrations/current"


def assert_error(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.body["code"]) == (status, code)
    assert set(answer.body) == {"code", "type", "message", "request_id"}
    assert all(isinstance(value, str) and value for value in answer.body.values())
    assert answer.headers["X-Request-Id"] == answer.body["request_id"]


@pytest.mark.parametrize("how", ["json", "data"])
async def test_the_account_signs_in_with_json_or_a_form(box: Box, how: str) -> None:
    answer = await box.call("POST", "/link/token", token="", **{how: GRANT})
    assert answer.status == 200
    assert answer.body["token_type"] == "bearer"  # noqa: S105 - not a secret
    assert answer.body["expires_in"] == box.clock.now + 30 * 86_400
    assert (await box.call("GET", "/api/system/client", token=answer.body["access_token"])).status == 200


@pytest.mark.parametrize("wrong", [{"client_secret": "no"}, {"client_id": "no"}, {"client_secret": None}])
async def test_a_wrong_client_is_refused(box: Box, wrong: dict[str, Any]) -> None:
    assert_error(await box.call("POST", "/link/token", json=GRANT | wrong), 401, "AUTHENTICATION_FAILED")


@pytest.mark.parametrize("body", [GRANT | {"grant_type": "refresh_token"}, {}, []])
async def test_other_grants_are_not_served(box: Box, body: object) -> None:
    assert_error(await box.call("POST", "/link/token", json=body), 400, "UNSUPPORTED_GRANT_TYPE")


async def test_the_client_is_shown_without_its_secret(box: Box) -> None:
    answer = await box.call("GET", "/api/system/client")
    assert SECRET not in json.dumps(answer.body)
    assert answer.body["data"]["id"] == account_id(CLIENT_ID) != account_id("another")


async def test_a_create_answers_with_a_token_and_without_an_id(box: Box) -> None:
    answer = await box.call("POST", CONNECTIONS, json=NEW)
    assert answer.status == 200
    assert set(answer.body["data"]) == {"access_token", "refresh_token", "expires_in"}
    assert answer.body["data"]["expires_in"] == box.clock.now + 30 * 86_400
    (row,) = (await box.call("GET", CONNECTIONS)).body["data"]
    assert (row["name"], row["status"], row["integration_name"]) == ("Acme", "active", "netsuite")
    assert "canary" not in json.dumps(row)


async def test_a_repeated_create_opens_a_second_connection(box: Box) -> None:
    for _ in range(2):
        await box.call("POST", CONNECTIONS, json=NEW)
    assert len(set(await box.ids())) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"provider": "abacus"}, "PROVIDER_UNKNOWN"),
        ({"provider": None}, "VALIDATION_FAILED"),
        ({"name": ""}, "VALIDATION_FAILED"),
        ({"name": None}, "VALIDATION_FAILED"),
        ({"name": "x" * 501}, "VALIDATION_FAILED"),
        ({"email": "nobody"}, "VALIDATION_FAILED"),
        ({"credentials": {}}, "VALIDATION_FAILED"),
        ({"credentials": []}, "VALIDATION_FAILED"),
        ({"credentials": {"login": 5}}, "VALIDATION_FAILED"),
        ({"credentials": {"login": "acme", "password": "wrong"}}, "CREDENTIALS_REJECTED"),
    ],
)
async def test_a_create_that_is_wrong_opens_nothing(box: Box, changes: dict[str, Any], code: str) -> None:
    assert_error(await box.call("POST", CONNECTIONS, json=NEW | changes), 400, code)
    assert await box.ids() == []


async def test_a_refused_login_is_echoed_as_real_systems_do(box: Box) -> None:
    body = NEW | {"credentials": {"login": "acme-login", "password": "wrong"}}
    assert "acme-login" in (await box.call("POST", CONNECTIONS, json=body)).body["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff"])
async def test_a_body_that_is_not_json_is_a_400(box: Box, body: bytes) -> None:
    assert_error(await box.call("POST", CONNECTIONS, data=body), 400, "INVALID_JSON")


async def test_a_listing_comes_in_fixed_pages_whatever_is_asked(box: Box) -> None:
    for number in range(23):
        await box.connect(name=f"c{number}")
    names: list[str] = []
    for number, size in ((1, 10), (2, 10), (3, 3), (4, 0)):
        answer = await box.call("GET", f"{CONNECTIONS}?page={number}&per_page=100&filter[name]=c1")
        assert len(answer.body["data"]) == size
        meta = answer.body["meta"]
        assert (meta["current_page"], meta["last_page"], meta["per_page"], meta["total"]) == (number, 3, 10, 23)
        names += [row["name"] for row in answer.body["data"]]
    assert names == [f"c{number}" for number in range(23)]


async def test_links_and_meta_describe_the_page(box: Box) -> None:
    for _ in range(11):
        await box.connect()
    body = (await box.call("GET", CONNECTIONS)).body
    path = box.url + CONNECTIONS
    assert body["links"] == {
        "first": f"{path}?page=1",
        "last": f"{path}?page=2",
        "prev": None,
        "next": f"{path}?page=2",
    }
    assert (body["meta"]["from"], body["meta"]["to"], body["meta"]["path"]) == (1, 10, path)


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "1.0", "9" * 40])
async def test_a_page_that_is_no_number_is_a_400(box: Box, page: str) -> None:
    assert_error(await box.call("GET", f"{CONNECTIONS}?page={page}"), 400, "INVALID_PARAMETER")


async def test_a_disconnect_kills_every_token_at_once(box: Box) -> None:
    first = await box.connect()
    (connection_id,) = await box.ids()
    second = (await box.call("POST", f"{CONNECTIONS}/{connection_id}/token")).body["data"]["token"]
    assert (await box.call("DELETE", f"{CONNECTIONS}/{connection_id}")).status == 200
    for token in (first, second):
        assert_error(await box.call("GET", CURRENT, token=token), 401, "AUTHENTICATION_FAILED")
    assert await box.ids() == []
    for method, suffix in (("DELETE", ""), ("GET", "/metadata"), ("POST", "/metadata"), ("POST", "/token")):
        answer = await box.call(method, f"{CONNECTIONS}/{connection_id}{suffix}", json=[])
        assert_error(answer, 404, "CONNECTION_NOT_FOUND")


async def test_a_disconnected_connection_can_stay_in_the_listing() -> None:
    async with running(keep_disconnected=True) as box:
        await box.connect()
        (connection_id,) = await box.ids()
        await box.call("DELETE", f"{CONNECTIONS}/{connection_id}")
        body = (await box.call("GET", CONNECTIONS)).body
        assert [row["status"] for row in body["data"]] == ["disconnected"]
        assert body["meta"]["total"] == 1
        assert_error(await box.call("DELETE", f"{CONNECTIONS}/{connection_id}"), 404, "CONNECTION_NOT_FOUND")


async def test_metadata_is_merged_and_shown_as_text_in_the_listing(box: Box) -> None:
    await box.connect()
    (connection_id,) = await box.ids()
    path = f"{CONNECTIONS}/{connection_id}/metadata"
    await box.call("POST", path, json=[{"key": "plan", "value": "gold"}, {"key": "team", "value": "a"}])
    await box.call("POST", path, json=[{"key": "team", "value": "b"}])
    pairs = (await box.call("GET", path)).body["data"]
    assert pairs == [{"key": "plan", "value": "gold"}, {"key": "team", "value": "b"}]
    (row,) = (await box.call("GET", CONNECTIONS)).body["data"]
    assert json.loads(row["user_metadata"]) == {"plan": "gold", "team": "b"}


@pytest.mark.parametrize("body", [{}, [{}], [{"key": "a"}], [{"key": "a", "value": 1}], ["a"]])
async def test_metadata_of_another_shape_is_a_400(box: Box, body: object) -> None:
    await box.connect()
    (connection_id,) = await box.ids()
    assert_error(await box.call("POST", f"{CONNECTIONS}/{connection_id}/metadata", json=body), 400, "VALIDATION_FAILED")


@pytest.mark.parametrize(("kills", "status"), [(False, 200), (True, 401)])
async def test_whether_a_second_token_kills_the_first_is_a_switch(kills: bool, status: int) -> None:
    async with running(second_token_kills_first=kills) as box:
        first, neighbour = await box.connect(), await box.connect()
        connection_id = (await box.ids())[0]
        second = (await box.call("POST", f"{CONNECTIONS}/{connection_id}/token")).body["data"]["token"]
        assert (await box.call("GET", CURRENT, token=first)).status == status
        assert (await box.call("GET", CURRENT, token=second)).status == 200
        assert (await box.call("GET", CURRENT, token=neighbour)).status == 200


async def test_a_token_ends_with_its_life() -> None:
    async with running(token_life=timedelta(seconds=60)) as box:
        token = await box.connect()
        box.clock.now += 59
        assert (await box.call("GET", CURRENT, token=token)).status == 200
        box.clock.now += 1
        assert_error(await box.call("GET", CURRENT, token=token), 401, "AUTHENTICATION_FAILED")


async def test_the_catalogue_lists_what_can_be_connected(box: Box) -> None:
    pages = [(await box.call("GET", f"/api/system/platforms?page={number}")).body for number in (1, 2)]
    keys = [row["key"] for body in pages for row in body["data"]]
    assert len(keys) == pages[0]["meta"]["total"] == 12
    for key in keys:
        await box.connect(provider=key)


ADMIN_ROUTES = [
    ("GET", CONNECTIONS),
    ("POST", CONNECTIONS),
    ("DELETE", f"{CONNECTIONS}/1"),
    ("GET", f"{CONNECTIONS}/1/metadata"),
    ("POST", f"{CONNECTIONS}/1/metadata"),
    ("POST", f"{CONNECTIONS}/1/token"),
    ("GET", "/api/system/platforms"),
    ("GET", "/api/system/client"),
]
DATA_ROUTES = [
    ("GET", CURRENT),
    ("DELETE", CURRENT),
    ("GET", "/api/erp/purchase-orders"),
    ("GET", "/api/erp/purchase-orders/po-001"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES + DATA_ROUTES)
async def test_nothing_is_served_without_a_good_token(box: Box, method: str, path: str) -> None:
    for token in ("", "made-up"):
        assert_error(await box.call(method, path, token=token), 401, "AUTHENTICATION_FAILED")


async def test_a_connections_token_does_not_reach_the_account_nor_the_other_way_round(box: Box) -> None:
    token = await box.connect()
    for method, path in ADMIN_ROUTES:
        assert_error(await box.call(method, path, token=token, json=NEW), 403, "FORBIDDEN")
    for method, path in DATA_ROUTES:
        assert_error(await box.call(method, path), 403, "FORBIDDEN")
    assert len(await box.ids()) == 1


async def test_what_the_router_does_not_know_has_the_apis_shape_too(box: Box) -> None:
    assert_error(await box.call("GET", "/api/nowhere?x=1"), 404, "ROUTE_NOT_FOUND")
    assert_error(await box.call("GET", "/sandbox/requests"), 404, "ROUTE_NOT_FOUND")
    assert_error(await box.call("PUT", CONNECTIONS), 405, "METHOD_NOT_ALLOWED")
    assert_error(await box.call("POST", CONNECTIONS, data=b"x" * 300_000), 413, "BODY_TOO_LARGE")


async def test_one_log_line_per_request_that_tells_no_content(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        token = await box.connect()
        await box.call("GET", f"{CURRENT}?canary=1", token=token)
        await box.call("GET", "/canary-path")
    lines = [record.getMessage() for record in caplog.records if record.name == "makini_operator.sandbox.app"]
    assert [line.split()[:3] for line in lines] == [
        ["POST", CONNECTIONS, "200"],
        ["GET", CURRENT, "200"],
        ["GET", "unknown", "404"],
    ]
    assert "canary" not in caplog.text
    assert token not in caplog.text
