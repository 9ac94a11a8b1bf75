"""A sandbox on a loopback socket, and the few requests that every test needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from makini_operator.sandbox import SandboxSettings, create_app
from makini_operator.sandbox.server import url_of

CLIENT_ID = "client-1"
SECRET = "client-secret-canary-22c1"  # noqa: S105 - a canary
CONNECTIONS = "/api/system/connections"
NEW = {
    "name": "Acme",
    "email": "it@acme.example",
    "provider": "netsuite",
    "credentials": {"login": "acme-login", "password": "password-canary-90d2"},
}


class Clock:
    """Unix seconds that move only by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: Any
    headers: Any


@dataclass(kw_only=True)
class Box:
    """A running sandbox."""

    url: str
    session: aiohttp.ClientSession
    clock: Clock
    admin: str = ""

    async def call(self, method: str, path: str, *, token: str | None = None, **options: Any) -> Answer:
        """Ask with `token`, or as the account; "" asks without any."""
        bearer = self.admin if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            is_json = response.content_type == "application/json"
            body = await response.json() if is_json else await response.text()
            return Answer(status=response.status, body=body, headers=response.headers)

    async def sign_in(self) -> None:
        grant = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET}
        self.admin = (await self.call("POST", "/link/token", token="", json=grant)).body["access_token"]

    async def connect(self, **changes: Any) -> str:
        """Open a connection and return its token."""
        answer = await self.call("POST", CONNECTIONS, json=NEW | changes)
        assert answer.status == 200
        return str(answer.body["data"]["access_token"])

    async def ids(self) -> list[str]:
        """Return the ids on the first page of the account's connections."""
        return [row["key"] for row in (await self.call("GET", CONNECTIONS)).body["data"]]


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Box]:
    clock = Clock()
    options = {"client_id": CLIENT_ID, "client_secret": SECRET, "clock": clock} | settings
    runner = web.AppRunner(create_app(SandboxSettings(**options)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            box = Box(url=url_of(runner.addresses[0]), session=session, clock=clock)
            await box.sign_in()
            yield box
    finally:
        await runner.cleanup()
