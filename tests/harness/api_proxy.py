"""A reverse proxy between the operator and Kubernetes, or Makini, that can count, refuse, lose and break.

It runs in a thread. What no fault was asked for is passed on unchanged, watches as they come.
"""

import asyncio
import json
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web
from yarl import URL

_NOT_COUNTED = re.compile(r"/leases(/|$)|/link/token$")
"""Renewals come by the clock, and an account's own token is no state."""
_NOT_PASSED_ON = {"host", "transfer-encoding", "content-length", "connection", "accept-encoding", "content-encoding"}
_REASONS = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 504: "Timeout"}
_EXPIRED = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
_GONE = (json.dumps({"type": "ERROR", "object": _EXPIRED | {"message": "too old resource version"}}) + "\n").encode()


@dataclass(kw_only=True)
class Fault:
    """What happens to requests that fit; the first that fits and has `times` left is spent.

    `status`: answer this (in a watch: an event that it has expired); without it: hang up. `after`: once it took effect.
    """

    name: str
    method: str = "POST|PUT|PATCH|DELETE"
    path: str = ""
    watches: bool = False
    status: int | None = None
    retry_after: int | None = None
    after: bool = False
    times: int = 1

    def fits(self, request: web.BaseRequest) -> bool:
        is_meant = re.fullmatch(self.method, request.method) and re.search(self.path, request.path)
        return self.times > 0 and self.watches == is_watch(request) and bool(is_meant) and not is_uncounted(request)


@dataclass
class WriteCounter:
    """Counts writes that took effect, over one proxy or several; `on_write` is called in a proxy's thread.

    `on_write(number, what)` may end the operator; if it says True, the reply is lost.
    """

    on_write: Callable[[int, str], bool] | None = None
    seen: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> bool:
        with self._lock:
            self.seen.append(what)
            return self.on_write is not None and self.on_write(len(self.seen), what)


class ApiProxy:
    """One proxy, for the `with` statement; `injected` counts the faults that happened, by their names."""

    def __init__(self, upstream: str, *, tls: ssl.SSLContext | None = None, writes: WriteCounter | None = None) -> None:
        self._upstream, self._tls = upstream.rstrip("/"), tls
        self.writes = writes or WriteCounter()
        self.injected: Counter[str] = Counter()
        self._faults: list[Fault] = []
        self._watching: dict[int, web.BaseRequest] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy of {upstream}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def inject(self, *faults: Fault) -> None:
        """Have these happen from now on, after those that are left."""
        self._faults = [fault for fault in self._faults if fault.times > 0] + list(faults)

    def heal(self) -> None:
        self._faults = []

    def watches(self) -> list[web.BaseRequest]:
        """Those that are open."""
        watching = list(self._watching.values())
        return [request for request in watching if request.transport and not request.transport.is_closing()]

    def break_watches(self) -> None:
        """Cut all watches off in the middle."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> str:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls or True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        await self._cut()
        await self._runner.cleanup()
        await self._session.close()
        handlers = asyncio.all_tasks() - {asyncio.current_task()}  # those of callers that have gone without a word
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    async def _cut(self) -> None:
        for request in self.watches():
            _hang_up(request)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        fault = next((f for f in self._faults if f.fits(request)), None)
        if fault:
            fault.times -= 1
            self.injected[fault.name] += 1
            if not fault.after:
                return await _suffer(fault, request)
        return await self._pass_on(request, fault)

    async def _pass_on(self, request: web.BaseRequest, fault: Fault | None) -> web.StreamResponse:
        body = await request.read()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _NOT_PASSED_ON}
        target = f"{self._upstream}{request.rel_url.raw_path_qs}"
        async with self._session.request(
            request.method, URL(target, encoded=True), data=body or None, headers=headers, allow_redirects=False
        ) as reply:
            passed = {k: v for k, v in reply.headers.items() if k.lower() not in _NOT_PASSED_ON}
            if is_watch(request) and reply.status == web.HTTPOk.status_code:
                return await self._stream(request, reply, passed)
            text = await reply.read()
        is_lost = _is_effect(request, reply.status) and self.writes.count(f"{request.method} {request.path}")
        if fault:
            return await _suffer(fault, request)
        if is_lost:
            return _hang_up(request)
        return web.Response(status=reply.status, body=text, headers=passed)

    async def _stream(
        self, request: web.BaseRequest, reply: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers=headers)
        self._watching[id(request)] = request
        try:
            with suppress(ConnectionError, aiohttp.ClientError):
                await response.prepare(request)
                async for chunk in reply.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
        finally:
            del self._watching[id(request)]
        return response


def is_watch(request: web.BaseRequest) -> bool:
    return request.query.get("watch") in {"true", "1"}


def is_uncounted(request: web.BaseRequest) -> bool:
    return "dryRun" in request.query or _NOT_COUNTED.search(request.path) is not None


def _is_effect(request: web.BaseRequest, status: int) -> bool:
    return request.method != "GET" and status < web.HTTPBadRequest.status_code and not is_uncounted(request)


async def _suffer(fault: Fault, request: web.BaseRequest) -> web.StreamResponse:
    if fault.status is None:
        return _hang_up(request)
    if fault.watches:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(_GONE)
        return response
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": fault.status}
    status |= {"reason": _REASONS.get(fault.status, ""), "message": "a fault that a test asked for"}
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return web.json_response(status, status=fault.status, headers=headers)


def _hang_up(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # goes nowhere
