"""A bare client of the API server: plain JSON over one aiohttp session, a bound on requests at once, and a watch."""

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from tests.localkube import LocalKube

Object = dict[str, Any]
CONNECTIONS = "/apis/makini.io/v1beta1/{}makiniconnections"
POOLS = "/apis/makini.io/v1beta1/creditpools"
EVENTS = "/apis/events.k8s.io/v1/{}events"
SECRETS = "/api/v1/{}secrets"
CONCURRENCY = 8
SAY_EVERY = 5.0
"""Seconds between progress lines."""


def path(template: str, namespace: str, name: str = "", subresource: str = "") -> str:
    """Where objects of this kind are in a namespace, or one of them."""
    return "/".join(filter(None, [template.format(f"namespaces/{namespace}/"), name, subresource]))


class Client:
    """Requests as one user; no retries: on a control plane of its own every failure is news."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, where: str, body: Object | None = None, **query: str) -> Object:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if data else {}
        async with self._session.request(method, where, data=data, headers=headers, params=query) as response:
            text = await response.text()
            assert response.ok, f"{method} {where}: HTTP {response.status}: {text[:500]}"
            return json.loads(text)

    async def watch(self, where: str, version: str) -> AsyncIterator[tuple[str, Object]]:
        """Events from this version on, until the caller has seen enough."""
        query = {"watch": "1", "resourceVersion": version}
        async with self._session.get(where, params=query) as response:
            assert response.ok, f"watch {where}: HTTP {response.status}"
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]


@asynccontextmanager
async def opened(cluster: LocalKube, *, token: str | None = None) -> AsyncIterator[Client]:
    """A client as administrator, or with a ServiceAccount's token."""
    pki = cluster.layout.pki
    tls = ssl.create_default_context(cafile=pki / "ca.crt")
    if token is None:
        tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(
        base_url=cluster.server,
        headers=headers,
        connector=aiohttp.TCPConnector(ssl=tls, limit=64),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        read_bufsize=2**20,
    ) as session:
        yield Client(session)


async def together(
    what: str, work: Iterable[Callable[[], Coroutine[Any, Any, object]]], *, concurrency: int = CONCURRENCY
) -> float:
    """Do all of it, so many at once; returns the seconds it took."""
    todo = list(work)
    waiting = iter(todo)
    done = 0
    started = said = time.monotonic()

    async def worker() -> None:
        nonlocal done, said
        for step in waiting:
            await step()
            done += 1
            if time.monotonic() - said > SAY_EVERY:
                said = time.monotonic()
                say(f"{what}: {done} of {len(todo)}")

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
    return time.monotonic() - started


class Observed:
    """Every connection of a namespace as a watch tells it, and when it first held credits and when it let them go."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.objects: dict[str, Object] = {}
        self.granted: dict[str, float] = {}
        self.released: dict[str, float] = {}
        self._client, self._path = client, path(CONNECTIONS, namespace)
        self._changed = asyncio.Event()

    def phases(self, phase: str) -> list[str]:
        return [name for name, obj in self.objects.items() if obj.get("status", {}).get("phase") == phase]

    def is_holding(self, name: str) -> bool:
        return bool(self.objects.get(name, {}).get("status", {}).get("credits"))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Observed"]:
        listed = await self._client.send("GET", self._path)
        for item in listed["items"]:
            self._take("ADDED", item)
        task = asyncio.create_task(self._follow(listed["metadata"]["resourceVersion"]))
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def until(
        self,
        what: str,
        is_so: Callable[[], bool],
        *,
        within: float,
        check: Callable[[], None],
        state: Callable[[], str],
    ) -> float:
        """Wait for it, event by event; returns the seconds it took. `check` raises when it can come true no more."""
        started = said = time.monotonic()
        while not is_so():
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._changed.wait()
            check()
            now = time.monotonic()
            assert now - started < within, f"{what}: not within {within:.0f} s: {state()}"
            if now - said > SAY_EVERY:
                said = now
                say(f"{what}: {state()}")
        return time.monotonic() - started

    async def _follow(self, version: str) -> None:
        async for kind, obj in self._client.watch(self._path, version):
            self._take(kind, obj)
            self._changed.set()

    def _take(self, kind: str, obj: Object) -> None:
        name, now = obj["metadata"]["name"], time.monotonic()
        was_holding = self.is_holding(name)
        if kind == "DELETED":
            self.objects.pop(name, None)
        else:
            self.objects[name] = obj
        if was_holding != self.is_holding(name):
            (self.released if was_holding else self.granted)[name] = now


def say(text: str) -> None:
    print(f"  {text}", flush=True)  # noqa: T201 - a program


def by_kind(writes: list[dict[str, Any]]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for write in writes:
        ref = write["objectRef"]
        resource = "/".join(filter(None, [ref["resource"], ref.get("subresource")]))
        kinds[f"{write['verb']} {resource}"] += 1
    return kinds
