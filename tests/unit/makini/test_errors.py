"""Which answer becomes which error, and what may be concluded from it."""

import asyncio
import socket
from datetime import UTC, datetime
from email.utils import format_datetime

import aiohttp
import pytest
from tests.unit.makini.scripted import Answer, FakeTime, Scripted, drops, fails, new_client, says, scripted_server

from makini_operator.makini import (
    Forbidden,
    Limits,
    MakiniError,
    NewConnection,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthenticated,
    Unreachable,
)
from makini_operator.makini.transport import retry_after_seconds

CONNECTIONS = "/api/system/connections"
CREATE = f"POST {CONNECTIONS}"
NEW = NewConnection(name="acme", email="it@acme.example", provider="netsuite", credentials={"login": "acme-login"})
GATEWAY = "<html><h1>502 Bad Gateway</h1></html>"

WRITES: dict[str, tuple[Answer, type[MakiniError]]] = {
    "400": (fails(400), Rejected),
    "400 of a gateway": (says(400, GATEWAY), OutcomeUnknown),
    "401": (fails(401), Unauthenticated),
    "402": (fails(402), Rejected),
    "403": (fails(403), Forbidden),
    "404": (fails(404), NotFound),
    "404 of a gateway": (says(404, GATEWAY), OutcomeUnknown),
    "404 of another API": (says(404, {"message": "no route matched"}), OutcomeUnknown),
    "404 without request id": (says(404, {"code": "X", "type": "t", "message": "m"}), OutcomeUnknown),
    "404 unknown route": (fails(404, code="ROUTE_NOT_FOUND"), Rejected),
    "408": (fails(408), OutcomeUnknown),
    "409": (fails(409), Rejected),
    "422": (fails(422), Rejected),
    "429": (fails(429), RateLimited),
    "429 of a gateway": (says(429, GATEWAY), RateLimited),
    "500": (fails(500), OutcomeUnknown),
    "502": (says(502, GATEWAY), OutcomeUnknown),
    "503": (fails(503), OutcomeUnknown),
    "504": (says(504, GATEWAY), OutcomeUnknown),
    "redirect": (says(302, {}, Location="http://elsewhere.invalid/"), OutcomeUnknown),
    "200 with a gateway's page": (says(200, GATEWAY), OutcomeUnknown),
    "200 without a token": (says(200, {"data": {}}), OutcomeUnknown),
    "200 with a token that fits no header": (says(200, {"token": "a\nb", "expires_in": 9}), OutcomeUnknown),
    "200 with a token that never ends": (says(200, {"token": "abc"}), OutcomeUnknown),
    "200 with a list": (says(200, []), OutcomeUnknown),
    "no answer": (drops(), OutcomeUnknown),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_failed_create_says_what_may_have_happened_and_is_never_repeated(server: Scripted, name: str) -> None:
    answer, expected = WRITES[name]
    server.on(CREATE, answer)
    with pytest.raises(MakiniError) as caught:
        await server.client.create_connection(NEW)
    assert type(caught.value) is expected
    assert caught.value.certainly_no_effect is (expected is not OutcomeUnknown)
    assert len(server.requests(CREATE)) == (2 if expected is Unauthenticated else 1)


READS: dict[str, tuple[Answer, type[MakiniError]]] = {
    "400": (fails(400), Rejected),
    "401": (fails(401), Unauthenticated),
    "403": (fails(403), Forbidden),
    "404": (fails(404), NotFound),
    "404 of a gateway": (says(404, GATEWAY), ServerFault),
    "429": (fails(429), RateLimited),
    "500": (fails(500), ServerFault),
    "503 with a time": (fails(503, Retry_After="86400"), RateLimited),
    "200 without an id": (says(200, {"data": {"name": "x"}}), ServerFault),
    "no answer": (drops(), ServerFault),
}


@pytest.mark.parametrize("name", READS)
async def test_a_failed_read_never_had_an_effect(server: Scripted, name: str) -> None:
    answer, expected = READS[name]
    server.on("GET /api/system/client", answer)
    with pytest.raises(MakiniError) as caught:
        await server.client.identity()
    assert type(caught.value) is expected
    assert caught.value.certainly_no_effect


async def test_nothing_listens_means_certainly_no_effect() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        async with aiohttp.ClientSession() as session:
            client = new_client(f"http://127.0.0.1:{taken.getsockname()[1]}", session, FakeTime())
            with pytest.raises(Unreachable) as caught:
                await client.create_connection(NEW)
    assert caught.value.certainly_no_effect
    assert caught.value.__context__ is None


async def test_a_server_that_does_not_answer_in_time_leaves_the_outcome_of_a_write_open() -> None:
    async with scripted_server(Limits(request=0.05)) as server:
        release: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def hangs(request: object) -> None:
            del request
            await release

        server.on(CREATE, hangs)  # type: ignore[arg-type]
        with pytest.raises(OutcomeUnknown) as caught:
            await server.client.create_connection(NEW)
        release.cancel()
    assert caught.value.__context__ is None


async def test_an_answer_beyond_the_bound_is_a_fault() -> None:
    async with scripted_server(Limits(body_bytes=1000)) as server:
        server.on(CREATE, says(200, {"token": "t", "expires_in": 9, "padding": "x" * 2000}))
        with pytest.raises(OutcomeUnknown, match="larger than 1000 bytes"):
            await server.client.create_connection(NEW)


async def test_an_error_carries_makinis_code_and_request_id(server: Scripted) -> None:
    server.on(CREATE, fails(400, code="PROVIDER_UNKNOWN", message="no such provider"))
    with pytest.raises(Rejected, match="no such provider") as caught:
        await server.client.create_connection(NEW)
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (400, "PROVIDER_UNKNOWN", "rq-1")


async def test_a_failing_token_endpoint_leaves_no_doubt_about_the_write(server: Scripted) -> None:
    server.on("POST /link/token", drops())
    with pytest.raises(ServerFault) as caught:
        await server.client.create_connection(NEW)
    assert caught.value.certainly_no_effect
    assert server.requests(CREATE) == []


@pytest.mark.parametrize("answer", [fails(401), says(400, {"error": "invalid_client"})])
async def test_a_wrong_client_secret_is_unauthenticated(server: Scripted, answer: Answer) -> None:
    server.on("POST /link/token", answer)
    with pytest.raises(Unauthenticated):
        await server.client.identity()


@pytest.mark.parametrize("connection_id", ["", ".", "..", "a/b", "a?b", "a%2Fb", "-x", "x" * 200, "é"])
async def test_an_id_that_is_no_path_segment_is_never_sent(server: Scripted, connection_id: str) -> None:
    with pytest.raises(Rejected):
        await server.client.disconnect(connection_id)
    assert server.seen == []


@pytest.mark.parametrize("url", ["ftp://h", "http://", "http://user:pw@h", "https://h?x=1", "https://h#x", "h"])
async def test_a_base_url_with_anything_secret_in_it_is_refused(server: Scripted, url: str) -> None:
    with pytest.raises(ValueError, match="expected the Makini URL"):
        new_client(url, server.session, server.time)


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("99999999999999", 1e9),
        (format_datetime(NOW.replace(minute=5), usegmt=True), 300.0),
        (format_datetime(NOW.replace(hour=11), usegmt=True), 0.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str, seconds: float | None) -> None:
    assert retry_after_seconds(value, now=NOW.timestamp()) == seconds


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_a_write_whose_connection_breaks_is_not_sent_again_behind_our_back(server: Scripted, method: str) -> None:
    # With a connection that was used before, because that is when HTTP libraries like to try again on their own.
    server.on("GET /api/system/client", says(200, {"id": "acc-1"}))
    await server.client.identity()
    path = f"{CONNECTIONS}/c1" + ("/metadata" if method == "POST" else "")
    server.on(f"{method} {path}", drops())
    with pytest.raises(OutcomeUnknown):
        await (server.client.disconnect("c1") if method == "DELETE" else server.client.set_metadata("c1", {}))
    assert len(server.requests(f"{method} {path}")) == 1
