"""A server on loopback that answers from a script, and a clock that only moves when somebody sleeps.

Real sockets, because what is tested is what a client makes of broken ones; no real time, because
waiting proves nothing.
"""

import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from makini_operator.makini import ClientCredentials, Limits, MakiniClient, RateBudget

SECRET = "client-secret-canary-7f3a"  # noqa: S105 - a canary
ADMIN = "admin-token-canary-91be"


@dataclass(frozen=True, kw_only=True)
class Seen:
    method: str
    path: str
    query: str
    bearer: str
    body: Any
    headers: Mapping[str, str]


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(status: int, body: Any = None, **headers: str) -> Answer:
    """Answer with JSON, or with the text itself when `body` is a string."""

    async def answer(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html", headers=named)
        return web.json_response(body, status=status, headers=named)

    return answer


def fails(status: int, code: str = "BROKEN", message: str = "no", **headers: str) -> Answer:
    """Answer with an error in the API's own shape."""
    return says(status, {"code": code, "type": "test", "message": message, "request_id": "rq-1"}, **headers)


def drops() -> Answer:
    """Read the request and close the connection without an answer."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    return answer


def page(ids: list[str], *, number: int = 1, last: int = 1, total: int | None = None) -> dict[str, Any]:
    rows = [{"key": key, "name": f"n-{key}", "status": "active", "integration_name": "netsuite"} for key in ids]
    meta = {"current_page": number, "last_page": last, "total": len(ids) if total is None else total}
    return {"data": rows, "links": {"next": "http://elsewhere.invalid/?page=2"}, "meta": meta}


class FakeTime:
    """A clock in seconds; `sleep` moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass(kw_only=True)
class Scripted:
    """The server's script (per method and path, the last answer repeats) and what it has seen."""

    client: MakiniClient
    time: FakeTime
    url: str
    session: aiohttp.ClientSession
    seen: list[Seen] = field(default_factory=list)
    answers: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))

    def on(self, route: str, *answers: Answer) -> None:
        self.answers[route] = deque(answers)

    def requests(self, route: str) -> list[Seen]:
        return [seen for seen in self.seen if f"{seen.method} {seen.path}" == route]

    def another_client(self, **options: Any) -> MakiniClient:
        return new_client(self.url, self.session, self.time, **options)


def new_client(url: str, session: aiohttp.ClientSession, time: FakeTime, **options: Any) -> MakiniClient:
    async def credentials() -> ClientCredentials:
        return ClientCredentials(client_id="client-1", client_secret=SECRET)

    budget = RateBudget(per_second=1000.0, burst=1000, monotonic=time, sleep=time.sleep)
    defaults: dict[str, Any] = {
        "budget": budget,
        "clock": time,
        "monotonic": time,
        "sleep": time.sleep,
        "jitter": lambda upper: upper,
    }
    return MakiniClient(url=url, credentials=credentials, session=session, **(defaults | options))


@asynccontextmanager
async def scripted_server(limits: Limits | None = None) -> AsyncIterator[Scripted]:
    time = FakeTime()
    async with aiohttp.ClientSession() as session:
        script: Scripted

        async def handle(request: web.Request) -> web.StreamResponse:
            text = await request.text()
            script.seen.append(
                Seen(
                    method=request.method,
                    path=request.path,
                    query=request.query_string,
                    bearer=request.headers.get("Authorization", ""),
                    body=json.loads(text) if text else None,
                    headers=dict(request.headers),
                )
            )
            answers = script.answers[f"{request.method} {request.path}"]
            answer = answers.popleft() if len(answers) > 1 else answers[0]
            return await answer(request)

        server = web.Server(handle)
        runner = web.ServerRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        url = f"http://{host}:{port}"
        script = Scripted(client=new_client(url, session, time, limits=limits), time=time, url=url, session=session)
        script.on("POST /link/token", says(200, {"access_token": ADMIN, "expires_in": time.now + 86_400}))
        try:
            yield script
        finally:
            await runner.cleanup()
