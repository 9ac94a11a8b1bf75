"""Calls, tokens, repetition and the account's budget."""

import asyncio
from datetime import UTC, datetime

import pytest
from tests.unit.makini.scripted import ADMIN, SECRET, Answer, FakeTime, Scripted, fails, page, says

from makini_operator.makini import (
    ConnectionToken,
    Limits,
    NewConnection,
    OutcomeUnknown,
    RateBudget,
    RateLimited,
    ServerFault,
    Unauthenticated,
)
from makini_operator.makini.admin_token import AdminToken

CONNECTIONS = "/api/system/connections"
CLIENT = "GET /api/system/client"
TOKEN = "POST /link/token"  # noqa: S105 - a path
NEW = NewConnection(name="acme", email="it@acme.example", provider="netsuite", credentials={"login": "acme-login"})
ME = says(200, {"data": {"id": "acc-1", "name": "Acme"}})


async def test_identity_is_read_with_the_admin_token(server: Scripted) -> None:
    server.on(CLIENT, ME)
    assert await server.client.identity() == "acc-1"
    assert server.requests(TOKEN)[0].body == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": SECRET,
    }
    assert server.requests(CLIENT)[0].bearer == f"Bearer {ADMIN}"


@pytest.mark.parametrize(
    ("answer", "expires"),
    [
        ({"access_token": "t1", "refresh_token": "r", "expires_in": 1_900_000_000}, 1_900_000_000),
        ({"data": {"access_token": "t1", "expires_in": "1900000000"}}, 1_900_000_000),
        ({"token": "t1", "expires_in": 300}, 1_800_000_300),
    ],
)
async def test_create_returns_the_token_in_every_known_shape(
    server: Scripted, answer: dict[str, object], expires: int
) -> None:
    server.on(f"POST {CONNECTIONS}", says(200, answer))
    token = await server.client.create_connection(NEW, idempotency_key="k-1")
    assert (token.token, token.expires_at) == ("t1", datetime.fromtimestamp(expires, UTC))
    (sent,) = server.requests(f"POST {CONNECTIONS}")
    assert sent.body == {
        "name": "acme",
        "email": "it@acme.example",
        "provider": "netsuite",
        "credentials": {"login": "acme-login"},
    }
    assert sent.headers["Idempotency-Key"] == "k-1"


@pytest.mark.parametrize("answer", [says(200, {}), says(200), says(204), fails(404)])
async def test_a_disconnect_is_confirmed_by_success_or_by_the_apis_own_404(server: Scripted, answer: Answer) -> None:
    server.on(f"DELETE {CONNECTIONS}/c1", answer)
    await server.client.disconnect("c1")


@pytest.mark.parametrize("answer", [says(404, "<html>"), says(200, "<html>maintenance"), fails(500)])
async def test_a_disconnect_is_not_confirmed_by_a_gateway(server: Scripted, answer: Answer) -> None:
    server.on(f"DELETE {CONNECTIONS}/c1", answer)
    with pytest.raises(OutcomeUnknown):
        await server.client.disconnect("c1")


async def test_metadata_goes_as_a_list_of_pairs(server: Scripted) -> None:
    server.on(f"POST {CONNECTIONS}/c1/metadata", says(200, {"data": []}))
    await server.client.set_metadata("c1", {"plan": "gold"})
    assert server.requests(f"POST {CONNECTIONS}/c1/metadata")[0].body == [{"key": "plan", "value": "gold"}]


async def test_a_token_is_minted_for_one_connection(server: Scripted) -> None:
    server.on(f"POST {CONNECTIONS}/c1/token", says(200, {"data": {"token": "t2", "expires_in": 300}}))
    minted = await server.client.mint_token("c1")
    assert minted.token == "t2"  # noqa: S105 - scripted


async def test_current_uses_the_connections_token_and_never_the_accounts(server: Scripted) -> None:
    route = "GET /api/integrations/current"
    body = {"id": "c1", "company_name": "Acme", "provider": "netsuite", "sync_status": "done"}
    server.on(route, says(200, {"data": body}), fails(401))
    assert (await server.client.current("conn-token")).sync_status == "done"
    with pytest.raises(Unauthenticated):
        await server.client.current("conn-token")
    assert {seen.bearer for seen in server.requests(route)} == {"Bearer conn-token"}
    assert server.requests(TOKEN) == []


async def test_many_calls_fetch_one_admin_token(server: Scripted) -> None:
    server.on(CLIENT, ME)
    await asyncio.gather(*(server.client.identity() for _ in range(20)))
    assert len(server.requests(TOKEN)) == 1


async def test_a_cancelled_caller_does_not_take_the_token_from_the_others(server: Scripted) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slowly(request: object) -> object:
        del request
        arrived.set()
        await release.wait()
        return await says(200, {"access_token": ADMIN, "expires_in": 300})(None)  # type: ignore[arg-type]

    server.on(TOKEN, slowly)  # type: ignore[arg-type]
    server.on(CLIENT, ME)
    first, second = (asyncio.create_task(server.client.identity()) for _ in range(2))
    await arrived.wait()
    first.cancel()
    release.set()
    assert await second == "acc-1"
    assert len(server.requests(TOKEN)) == 1


@pytest.mark.parametrize(
    ("life", "used", "fetches"),
    [(1000, 790, 1), (1000, 810, 2), (200, 130, 1), (200, 145, 2), (60, 20, 1), (60, 40, 2)],
)
async def test_the_admin_token_is_renewed_early(server: Scripted, life: int, used: int, fetches: int) -> None:
    server.on(TOKEN, says(200, {"access_token": ADMIN, "expires_in": life}))
    server.on(CLIENT, ME)
    await server.client.identity()
    server.time.now += used
    await server.client.identity()
    assert len(server.requests(TOKEN)) == fetches


async def test_a_failed_early_renewal_is_no_outage(server: Scripted) -> None:
    server.on(TOKEN, says(200, {"access_token": ADMIN, "expires_in": 1000}), fails(500))
    server.on(CLIENT, ME)
    await server.client.identity()
    server.time.now += 900
    for _ in range(3):
        assert await server.client.identity() == "acc-1"
    assert len(server.requests(TOKEN)) == 2


async def test_a_refused_admin_token_is_replaced_once_even_for_a_write(server: Scripted) -> None:
    server.on(
        TOKEN,
        says(200, {"access_token": "old", "expires_in": 9000}),
        says(200, {"access_token": "new", "expires_in": 9000}),
    )
    server.on(f"POST {CONNECTIONS}", fails(401), says(200, {"access_token": "t", "expires_in": 300}))
    await server.client.create_connection(NEW)
    assert [seen.bearer for seen in server.requests(f"POST {CONNECTIONS}")] == ["Bearer old", "Bearer new"]


async def test_many_refused_calls_fetch_one_new_token(server: Scripted) -> None:
    async def by_token(request: object) -> object:
        good = "new" in request.headers["Authorization"]  # type: ignore[attr-defined]
        return await (ME if good else fails(401))(request)  # type: ignore[arg-type]

    server.on(
        TOKEN,
        says(200, {"access_token": "old", "expires_in": 9000}),
        says(200, {"access_token": "new", "expires_in": 9000}),
    )
    server.on(CLIENT, by_token)  # type: ignore[arg-type]
    await asyncio.gather(*(server.client.identity() for _ in range(8)))
    assert len(server.requests(TOKEN)) == 2


async def test_a_read_is_repeated_with_growing_pauses(server: Scripted) -> None:
    server.on(CLIENT, fails(500), fails(502), ME)
    assert await server.client.identity() == "acc-1"
    assert server.time.slept == [0.25, 0.5]


async def test_a_read_gives_up_after_a_bounded_number_of_tries(server: Scripted) -> None:
    server.on(CLIENT, fails(500))
    with pytest.raises(ServerFault):
        await server.client.identity()
    assert len(server.requests(CLIENT)) == Limits().read_attempts


@pytest.mark.parametrize("status", [429, 503])
async def test_a_read_waits_as_long_as_it_is_told(server: Scripted, status: int) -> None:
    server.on(CLIENT, fails(status, Retry_After="7"), ME)
    assert await server.client.identity() == "acc-1"
    assert server.time.slept == [7.0]


async def test_a_read_does_not_wait_beyond_its_deadline(server: Scripted) -> None:
    server.on(CLIENT, fails(429, Retry_After="600"))
    with pytest.raises(RateLimited) as caught:
        await server.client.identity()
    assert caught.value.retry_after == 600.0
    assert server.time.slept == []


async def test_after_a_429_the_whole_account_pauses_and_writes_fail_fast(server: Scripted) -> None:
    server.on(f"POST {CONNECTIONS}", fails(429, Retry_After="30"))
    with pytest.raises(RateLimited):
        await server.client.create_connection(NEW)
    with pytest.raises(RateLimited) as caught:
        await server.client.disconnect("c1")
    assert caught.value.retry_after == pytest.approx(30.0)
    assert server.requests(f"DELETE {CONNECTIONS}/c1") == []
    server.on(CLIENT, ME)
    assert await server.client.identity() == "acc-1"
    assert sum(server.time.slept) == pytest.approx(30.0)


async def test_a_short_pause_is_waited_out_by_a_write(server: Scripted) -> None:
    server.on(f"POST {CONNECTIONS}", fails(429, Retry_After="1"), says(200, {"token": "t", "expires_in": 300}))
    with pytest.raises(RateLimited):
        await server.client.create_connection(NEW)
    await server.client.create_connection(NEW)
    assert server.time.slept == [1.0]


async def test_a_budget_of_a_rate_lets_one_second_of_it_out_at_once() -> None:
    budget = RateBudget.of(2.5)
    for _ in range(3):
        async with budget.slot(patience=0):
            pass
    with pytest.raises(RateLimited):
        async with budget.slot(patience=0):
            pass


async def test_clients_of_one_account_share_a_budget(server: Scripted) -> None:
    budget = RateBudget(per_second=2.0, burst=2, monotonic=server.time, sleep=server.time.sleep)
    first, second = (server.another_client(budget=budget) for _ in range(2))
    server.on(CLIENT, ME)
    for client in (first, second, first, second):
        await client.identity()
    assert sum(server.time.slept) == pytest.approx((6 - 2) / 2.0)  # four calls and two tokens, of which two were free


async def test_no_more_requests_than_allowed_are_in_flight() -> None:
    time = FakeTime()
    budget = RateBudget(concurrent=2, monotonic=time, sleep=time.sleep)
    async with budget.slot(patience=0), budget.slot(patience=0):
        with pytest.raises(RateLimited):
            async with budget.slot(patience=0):
                pass
    async with budget.slot(patience=0):
        pass


async def test_a_nonsensical_pause_is_bounded() -> None:
    time = FakeTime()
    budget = RateBudget(monotonic=time, sleep=time.sleep)
    budget.pause(1e9)
    assert budget.paused_for == 3600.0


async def test_a_listing_of_one_page_takes_one_request(server: Scripted) -> None:
    server.on(f"GET {CONNECTIONS}", says(200, page(["a", "b"])))
    assert [row.id for row in await server.client.list_connections()] == ["a", "b"]
    assert [seen.query for seen in server.requests(f"GET {CONNECTIONS}")] == ["page=1"]


async def test_a_late_refusal_does_not_throw_away_the_successor() -> None:
    values = iter(["old", "new", "newest"])

    async def fetch() -> ConnectionToken:
        return ConnectionToken(token=next(values), expires_at=datetime.fromtimestamp(9000, UTC))

    admin = AdminToken(fetch=fetch, clock=lambda: 0.0)
    assert await admin.get() == "old"
    admin.forget("old")
    assert await admin.get() == "new"
    admin.forget("old")
    assert await admin.get() == "new"


async def test_a_pause_is_told_even_when_all_places_are_taken() -> None:
    time = FakeTime()
    budget = RateBudget(concurrent=1, monotonic=time, sleep=time.sleep)
    async with budget.slot(patience=0):
        budget.pause(30.0)
        with pytest.raises(RateLimited) as caught:
            async with budget.slot(patience=0):
                pass
    assert caught.value.retry_after == 30.0
