"""Makini's v3 API as the operator uses it: typed calls, typed errors, and no surprise writes.

What a caller may rely on:

* A write leaves at most once. It is repeated only after a 401 of the admin token, which Makini answers before it does
  anything; then once, with a new token. Whoever called decides what follows any other error (`certainly_no_effect`).
* A read is repeated for a bounded time: `Retry-After` is obeyed, otherwise exponential back-off with full jitter.
* All calls of an account share one budget of requests per second and in flight; after a 429 the whole account pauses.
* A listing is complete or an error. Makini has no GET of one connection, so conclusions are drawn from what is
  absent.
* No secret in an error, a log line or a `repr`.

Source of paths, fields and token lives: makini-facts, "API, v3".
"""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from makini_operator.makini import listing, shapes
from makini_operator.makini.admin_token import AdminToken
from makini_operator.makini.budget import RateBudget
from makini_operator.makini.errors import (
    MakiniError,
    NotFound,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthenticated,
    Unreachable,
)
from makini_operator.makini.transport import TOKEN_PATH, Request, Transport
from makini_operator.makini.types import (
    ClientCredentials,
    ConnectionToken,
    CurrentIntegration,
    NewConnection,
    RemoteConnection,
)

if TYPE_CHECKING:
    import aiohttp

_T = TypeVar("_T")
_CONNECTIONS = "/api/system/connections"
_CONNECTION_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~:-]{0,127}")  # one path segment, never "." or ".."
_random = random.SystemRandom()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long and how often the client tries. Seconds, unless the name says otherwise.

    `call`: no repetition of a read starts later than this after the first try.
    `write_patience`: how long a write waits for its turn.
    `listing_passes`: how often the pages are gone through before a listing is given up.
    """

    connect: float = 5.0
    request: float = 15.0
    call: float = 45.0
    write_patience: float = 2.0
    read_attempts: int = 5
    backoff_first: float = 0.25
    backoff_longest: float = 8.0
    listing_passes: int = 6
    body_bytes: int = 16 * 1024 * 1024


class MakiniClient:
    """A client of one Makini account.

    Args:
        url: base, such as https://api.makini.io; ValueError when it holds anything but scheme, host, port and path.
        credentials: asked whenever a new admin token is needed, so that a changed Secret is picked up.
        session: belongs to the caller, who closes it.
        limits: time-outs and repetitions.
        budget: pass one object to all clients of the same account; by default the client has its own.
        clock: unix time in seconds.
        monotonic, sleep, jitter: seconds of a steady clock, how to wait, and a random number below its argument.
    """

    def __init__(
        self,
        *,
        url: str,
        credentials: Callable[[], Awaitable[ClientCredentials]],
        session: "aiohttp.ClientSession",
        limits: Limits | None = None,
        budget: RateBudget | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float], float] = lambda upper: _random.uniform(0.0, upper),
    ) -> None:
        self._limits = limits or Limits()
        self._budget = budget or RateBudget(monotonic=monotonic, sleep=sleep)
        self._credentials = credentials
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._jitter = jitter
        self._admin = AdminToken(fetch=self._fetch_admin_token, clock=clock)
        self._transport = Transport(
            url=url,
            session=session,
            connect_timeout=self._limits.connect,
            request_timeout=self._limits.request,
            max_body=self._limits.body_bytes,
            clock=clock,
        )

    async def identity(self) -> str:
        """Return the account's id, as Makini reports it."""
        request = _read("/api/system/client")
        return _parsed(request, shapes.account_id, await self._admin_read(request))

    async def list_connections(self) -> list[RemoteConnection]:
        """Return every connection of the account that existed throughout the call.

        Raises:
            IncompleteListing: the list kept moving, or its pages contradict each other or `meta.total`.
            MakiniError: a page could not be read.
        """
        return await listing.complete(
            self._connections_page, passes=self._limits.listing_passes, pause=self._pause_between_passes
        )

    async def create_connection(self, new: NewConnection, *, idempotency_key: str = "") -> ConnectionToken:
        """Open a connection with exactly one POST; it costs credits. The answer names no id: find it by its name.

        Raises:
            Rejected: refused as it is, for example because the credentials are wrong.
            OutcomeUnknown: it may exist; list before trying again.
        """
        request = Request(
            method="POST",
            path=_CONNECTIONS,
            route=_CONNECTIONS,
            is_write=True,
            body={
                "name": new.name,
                "email": new.email,
                "provider": new.provider,
                "credentials": dict(new.credentials),
            },
            secrets=tuple(new.credentials.values()),
            idempotency_key=idempotency_key,
        )
        return await self._token(request)

    async def disconnect(self, connection_id: str) -> None:
        """Close a connection. Returning means confirmed: a 2xx, or a 404 in the API's own error shape.

        Raises:
            MakiniError: not confirmed; the connection may live and cost.
        """
        try:
            await self._admin_write(_on_connection("DELETE", connection_id))
        except NotFound:
            return

    async def set_metadata(self, connection_id: str, metadata: Mapping[str, str]) -> None:
        """Set these keys of the connection's `user_metadata`. Whether other keys are kept is not documented."""
        body = [{"key": key, "value": value} for key, value in metadata.items()]
        await self._admin_write(replace(_on_connection("POST", connection_id, "/metadata"), body=body))

    async def mint_token(self, connection_id: str, *, idempotency_key: str = "") -> ConnectionToken:
        """Issue one more token for a connection. Whether the earlier one survives is not documented."""
        request = _on_connection("POST", connection_id, "/token")
        return await self._token(replace(request, body={}, idempotency_key=idempotency_key))

    async def current(self, token: str) -> CurrentIntegration:
        """Return what `token` is connected to.

        Raises:
            Unauthenticated: the token is expired, revoked or wrong.
        """
        request = replace(_read("/api/integrations/current"), bearer=token)
        return _parsed(request, shapes.current_integration, await self._repeated(request, self._send))

    async def _connections_page(self, number: int) -> shapes.Page:
        request = replace(_read(_CONNECTIONS), query={"page": str(number)})
        return _parsed(request, shapes.page, await self._admin_read(request))

    async def _pause_between_passes(self, failed: int) -> None:
        await self._sleep(self._backoff(failed))

    async def _token(self, request: Request) -> ConnectionToken:
        asked_at = self._clock()
        payload = await self._admin_write(request)
        return _parsed(request, lambda body: shapes.token(body, asked_at=asked_at), payload)

    async def _admin_read(self, request: Request) -> Any:
        return await self._repeated(request, self._as_admin)

    async def _admin_write(self, request: Request) -> Any:
        return await self._as_admin(request, self._limits.write_patience)

    async def _as_admin(self, request: Request, patience: float) -> Any:
        token = await self._admin.get()
        try:
            return await self._send(replace(request, bearer=token), patience)
        except Unauthenticated:
            self._admin.forget(token)
        return await self._send(replace(request, bearer=await self._admin.get()), patience)

    async def _fetch_admin_token(self) -> ConnectionToken:
        credentials = await self._credentials()
        request = Request(
            method="POST",
            path=TOKEN_PATH,
            route=TOKEN_PATH,
            is_write=False,  # costs nothing and nothing depends on it: a failure is a fault, never a riddle
            body={
                "grant_type": "client_credentials",
                "client_id": credentials.client_id,
                "client_secret": credentials.client_secret,
            },
            secrets=(credentials.client_secret,),
        )
        asked_at = self._clock()
        payload = await self._send(request, self._limits.write_patience)
        return _parsed(request, lambda body: shapes.token(body, asked_at=asked_at), payload)

    async def _send(self, request: Request, patience: float) -> Any:
        async with self._budget.slot(patience=patience):
            try:
                return await self._transport.send(request)
            except RateLimited as error:
                if error.retry_after is not None:
                    self._budget.pause(error.retry_after)
                raise

    async def _repeated(self, request: Request, send: Callable[[Request, float], Awaitable[Any]]) -> Any:
        deadline = self._monotonic() + self._limits.call
        failed = 0
        while True:
            remaining = deadline - self._monotonic()
            try:
                return await send(request, max(remaining, self._limits.write_patience))
            except (RateLimited, ServerFault, Unreachable) as error:
                failed += 1
                delay = self._backoff(failed) if error.retry_after is None else error.retry_after
                if failed >= self._limits.read_attempts or self._monotonic() + delay > deadline:
                    raise _final(error) from None
            await self._sleep(delay)

    def _backoff(self, failed: int) -> float:
        return self._jitter(min(self._limits.backoff_longest, self._limits.backoff_first * 2.0 ** (failed - 1)))


def _final(error: MakiniError) -> MakiniError:
    if error.retry_after is None or isinstance(error, RateLimited):
        return error
    # A 503 that names a time is a refusal for now, and the caller should schedule by it.
    return RateLimited(
        str(error),
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        retry_after=error.retry_after,
    )


def _read(path: str) -> Request:
    return Request(method="GET", path=path, route=path, is_write=False)


def _on_connection(method: str, connection_id: str, suffix: str = "") -> Request:
    if not _CONNECTION_ID.fullmatch(connection_id):
        raise Rejected("expected a connection id of letters, digits and ._~:-; nothing was sent", code="INVALID_ID")
    return Request(
        method=method,
        path=f"{_CONNECTIONS}/{connection_id}{suffix}",
        route=f"{_CONNECTIONS}/{{id}}{suffix}",
        is_write=True,
    )


def _parsed(request: Request, parse: Callable[[Any], _T], payload: Any) -> _T:
    try:
        return parse(payload)
    except shapes.ShapeError as error:
        problem = str(error)
    raise request.fault(f"the answer is not the API's: {problem}")
