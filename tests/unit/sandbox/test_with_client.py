"""The operator's own client against the sandbox, over a socket: each was written without the other's help."""

import asyncio
from typing import Any

import pytest
from tests.unit.sandbox.box import CLIENT_ID, CONNECTIONS, SECRET, Box, running

from makini_operator.makini import (
    ClientCredentials,
    Limits,
    MakiniClient,
    MakiniError,
    NewConnection,
    OutcomeUnknown,
    RateBudget,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthenticated,
)


async def no_wait(seconds: float) -> None:
    del seconds
    await asyncio.sleep(0)


def client_of(box: Box, *, secret: str = SECRET, **limits: Any) -> MakiniClient:
    async def credentials() -> ClientCredentials:
        return ClientCredentials(client_id=CLIENT_ID, client_secret=secret)

    return MakiniClient(
        url=box.url,
        credentials=credentials,
        session=box.session,
        limits=Limits(**limits),
        budget=RateBudget(per_second=10_000, burst=10_000),
        clock=box.clock,
        sleep=no_wait,
    )


def new(name: str = "Acme", **credentials: str) -> NewConnection:
    login = {"login": "acme-login", "password": "password-canary"} | credentials
    return NewConnection(name=name, email="it@acme.example", provider="sap-ecc", credentials=login)


@pytest.fixture
def client(faulty: Box) -> MakiniClient:
    return client_of(faulty)


async def inject(box: Box, **rule: object) -> None:
    assert (await box.call("POST", "/sandbox/faults", json=[rule])).status == 200


async def test_a_connections_whole_life(client: MakiniClient, faulty: Box) -> None:
    token = await client.create_connection(new())
    assert token.expires_at.timestamp() == faulty.clock.now + 30 * 86_400
    (row,) = await client.list_connections()
    assert (row.name, row.status, row.integration_name) == ("Acme", "active", "sap-ecc")
    await client.set_metadata(row.id, {"plan": "gold"})
    assert (await client.list_connections())[0].user_metadata == '{"plan": "gold"}'
    minted = await client.mint_token(row.id)
    assert minted.token != token.token
    assert (await client.current(minted.token)).id == row.id
    await client.disconnect(row.id)
    await client.disconnect(row.id)
    for dead in (token, minted):
        with pytest.raises(Unauthenticated):
            await client.current(dead.token)
    assert await client.list_connections() == []


async def test_the_account_has_a_stable_identity(client: MakiniClient, faulty: Box) -> None:
    assert await client.identity() == await client_of(faulty).identity()


async def test_a_wrong_secret_is_unauthenticated(faulty: Box) -> None:
    with pytest.raises(Unauthenticated):
        await client_of(faulty, secret="nope-nope").identity()  # noqa: S106 - wrong on purpose


async def test_a_long_list_is_read_completely(client: MakiniClient) -> None:
    for number in range(25):
        await client.create_connection(new(name=f"c{number}"))
    assert {row.name for row in await client.list_connections()} == {f"c{number}" for number in range(25)}


async def test_a_lost_reply_leaves_the_outcome_open_and_the_connection_there(client: MakiniClient, faulty: Box) -> None:
    await inject(faulty, kind="drop-after", method="POST", path=f"^{CONNECTIONS}$")
    with pytest.raises(OutcomeUnknown) as caught:
        await client.create_connection(new(name="marker Acme"))
    assert not caught.value.certainly_no_effect
    assert [row.name for row in await client.list_connections()] == ["marker Acme"]
    counts = (await faulty.call("GET", "/sandbox/requests")).body
    assert counts[f"POST {CONNECTIONS}"] == 1


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"kind": "drop-before"}, OutcomeUnknown),
        ({"kind": "gateway"}, OutcomeUnknown),
        ({"kind": "gateway", "status": 404}, OutcomeUnknown),
        ({"kind": "status", "status": 500}, OutcomeUnknown),
        ({"kind": "status", "status": 429, "retry_after": 60}, RateLimited),
        ({"kind": "status", "status": 422}, Rejected),
    ],
)
async def test_a_create_that_failed_is_sent_once_and_named_rightly(
    client: MakiniClient, faulty: Box, rule: dict[str, object], expected: type[MakiniError]
) -> None:
    await inject(faulty, method="POST", path=f"^{CONNECTIONS}$", **rule)
    with pytest.raises(expected):
        await client.create_connection(new())
    assert (await faulty.call("GET", "/sandbox/requests")).body[f"POST {CONNECTIONS}"] == 1
    assert await faulty.ids() == []


async def test_a_gateways_404_does_not_confirm_a_disconnect(client: MakiniClient, faulty: Box) -> None:
    await client.create_connection(new())
    (row,) = await client.list_connections()
    await inject(faulty, kind="gateway", status=404, method="DELETE", path=CONNECTIONS)
    with pytest.raises(OutcomeUnknown):
        await client.disconnect(row.id)
    assert len(await faulty.ids()) == 1


async def test_a_disconnect_whose_reply_was_lost_is_confirmed_by_asking_again(
    client: MakiniClient, faulty: Box
) -> None:
    await client.create_connection(new())
    (row,) = await client.list_connections()
    await inject(faulty, kind="drop-after", method="DELETE", path=CONNECTIONS, times=-1)
    with pytest.raises(OutcomeUnknown):
        await client.disconnect(row.id)
    assert (await faulty.call("GET", "/sandbox/requests")).body[f"DELETE {CONNECTIONS}/{{id}}"] == 1
    await faulty.call("DELETE", "/sandbox/faults")
    await client.disconnect(row.id)


async def test_reads_survive_a_bad_minute_and_not_a_bad_hour(client: MakiniClient, faulty: Box) -> None:
    await inject(faulty, kind="gateway", path="/client$", times=3)
    assert await client.identity()
    await inject(faulty, kind="drop-before", path="/client$", times=-1)
    with pytest.raises(ServerFault):
        await client.identity()


async def test_a_slow_answer_to_a_write_leaves_the_outcome_open(faulty: Box) -> None:
    client = client_of(faulty, request=0.2)
    await inject(faulty, kind="latency", seconds=0.5, method="POST", path=f"^{CONNECTIONS}$")
    with pytest.raises(OutcomeUnknown):
        await client.create_connection(new())


async def test_refused_credentials_are_rejected_without_repeating_them(client: MakiniClient) -> None:
    with pytest.raises(Rejected) as caught:
        await client.create_connection(new(password="wrong"))  # noqa: S106 - wrong on purpose
    assert caught.value.code == "CREDENTIALS_REJECTED"
    assert "acme-login" not in str(caught.value)


async def test_an_ended_admin_token_is_replaced_without_anybody_noticing(faulty: Box) -> None:
    client = client_of(faulty)
    await client.identity()
    faulty.clock.now += 31 * 86_400
    assert await client.identity()


async def test_a_listing_is_complete_while_connections_come_and_go() -> None:
    async with running(page_size=2) as box:
        client = client_of(box, listing_passes=50)
        for number in range(9):
            await client.create_connection(new(name=f"stays{number}"))

        async def churn() -> None:
            for number in range(6):
                await client.create_connection(new(name=f"passing{number}"))
                (row,) = [row for row in await client.list_connections() if row.name == f"passing{number}"]
                await client.disconnect(row.id)

        busy = asyncio.create_task(churn())
        names = {row.name for row in await client.list_connections()}
        await busy
    assert {f"stays{number}" for number in range(9)} <= names
