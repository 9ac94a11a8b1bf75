"""One HTTP exchange with Makini: exactly one request, one reply or one typed error.

Guarantees: at most one request leaves per call (a write is never repeated here), redirects are not followed (they
would carry the token to another place), a reply is read up to a bound, and every failure becomes an error of `errors`
that says whether the request may have had an effect. Bodies, headers and query strings are never logged.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from makini_operator.makini import shapes
from makini_operator.makini.errors import (
    Forbidden,
    MakiniError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthenticated,
    Unreachable,
)
from makini_operator.redaction import Redactor

logger = logging.getLogger(__name__)

TOKEN_PATH = "/link/token"  # noqa: S105 - a path
_UNKNOWN_ROUTE = "ROUTE_NOT_FOUND"  # the API does not know the path: says nothing about the object
_NOT_A_VERDICT = {408, 425, 499}  # 4xx that are about the transfer, not about the request
_CODE = re.compile(r"[^A-Za-z0-9_.:-]")
_MAX_SECONDS_DIGITS = 9
_OK = range(200, 300)
_CLIENT_ERRORS = range(400, 500)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. `route` is its path without ids, for logs; `secrets` are the texts an error must not repeat."""

    method: str
    path: str
    route: str
    is_write: bool
    bearer: str = field(default="", repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    idempotency_key: str = ""

    def fault(self, message: str, **details: Any) -> MakiniError:
        """Return the error for a reply that is lost or senseless: unknown outcome for a write, a fault for a read."""
        return (OutcomeUnknown if self.is_write else ServerFault)(f"{self.method} {self.route}: {message}", **details)


@dataclass(frozen=True, kw_only=True)
class _Reply:
    status: int
    retry_after: str
    request_id: str
    body: bytes


def checked_base(url: str) -> str:
    """Return `url` without a trailing slash.

    Raises:
        ValueError: not an http(s) URL, or one with user, password, query or fragment (those may hold secrets).
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected the Makini URL to be http(s)://host[:port][/path]")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("expected the Makini URL without user, password, query and fragment")
    return url.rstrip("/")


class Transport:
    """Sends requests to one base URL over a session that belongs to the caller."""

    def __init__(
        self,
        *,
        url: str,
        session: aiohttp.ClientSession,
        connect_timeout: float,
        request_timeout: float,
        max_body: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base = checked_base(url)
        self._session = session
        self._connect_timeout = connect_timeout
        self._request_timeout = request_timeout
        self._max_body = max_body
        self._clock = clock

    async def send(self, request: Request) -> Any:
        """Send once; return the JSON of a 2xx answer (None when it is empty).

        Raises:
            MakiniError: anything else, as the class that fits.
        """
        started = time.monotonic()
        outcome = await self._exchange(request)
        status = outcome.status if isinstance(outcome, _Reply) else type(outcome).__name__
        logger.debug("%s %s %s in %.3f s", request.method, request.route, status, time.monotonic() - started)
        if isinstance(outcome, MakiniError):
            raise outcome
        if outcome.status not in _OK:
            raise self._error(request, outcome)
        try:
            return shapes.parse_json(outcome.body)
        except shapes.ShapeError as error:
            problem = str(error)
        raise request.fault(f"answer {outcome.status}: {problem}", status=outcome.status, request_id=outcome.request_id)

    async def _exchange(self, request: Request) -> _Reply | MakiniError:
        # Errors are returned, not raised, so that none carries the library's exception as its context.
        try:
            return await self._perform(request)
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ServerFingerprintMismatch,
            aiohttp.ConnectionTimeoutError,
        ) as error:
            problem = type(error).__name__
        except aiohttp.InvalidURL:
            problem = "the URL is not valid"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return request.fault(f"no usable reply ({type(error).__name__})")
        except _TooLarge:
            return request.fault(f"the reply is larger than {self._max_body} bytes")
        return Unreachable(f"{request.method} {request.route}: Makini cannot be reached ({problem})")

    async def _perform(self, request: Request) -> _Reply:
        timeout = aiohttp.ClientTimeout(
            total=self._request_timeout, connect=self._connect_timeout, sock_connect=self._connect_timeout
        )
        async with self._session.request(
            request.method,
            URL(self._base + request.path, encoded=True),
            params=dict(request.query) or None,
            data=None if request.body is None else json.dumps(request.body).encode(),
            headers=_headers(request),
            timeout=timeout,
            allow_redirects=False,
            raise_for_status=False,
            middlewares=(_sent_once,),
        ) as response:
            return _Reply(
                status=response.status,
                retry_after=response.headers.get("Retry-After", ""),
                request_id=response.headers.get("X-Request-Id", ""),
                body=await _bounded(response.content, self._max_body),
            )

    def _error(self, request: Request, reply: _Reply) -> MakiniError:
        own = shapes.error_body(reply.body)
        redactor = Redactor((*request.secrets, request.bearer))
        text = redactor.clean(own.message) if own else "an answer that is not in the API's error shape"
        code = _CODE.sub("", redactor.clean(own.code, limit=64)) if own else ""
        kind = _kind(request, reply.status, own=own, body=reply.body)
        return kind(
            f"{request.method} {request.route}: {reply.status} {code or 'without a code'}: {text}",
            status=reply.status,
            code=code,
            request_id=redactor.clean(own.request_id if own else reply.request_id, limit=64),
            retry_after=retry_after_seconds(reply.retry_after, now=self._clock()),
        )


def _kind(request: Request, status: int, *, own: shapes.ErrorBody | None, body: bytes) -> type[MakiniError]:
    by_status: dict[int, type[MakiniError]] = {401: Unauthenticated, 403: Forbidden, 429: RateLimited}
    if status in by_status:
        return by_status[status]
    if status == 400 and request.path == TOKEN_PATH and shapes.is_oauth_refusal(body):  # noqa: PLR2004
        return Unauthenticated
    if own is not None and status in _CLIENT_ERRORS and status not in _NOT_A_VERDICT:
        return NotFound if status == 404 and own.code != _UNKNOWN_ROUTE else Rejected  # noqa: PLR2004
    return OutcomeUnknown if request.is_write else ServerFault


def retry_after_seconds(value: str, *, now: float) -> float | None:
    """Read a `Retry-After` header, seconds or an HTTP date (RFC 9110, 10.2.3); None when it is neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:_MAX_SECONDS_DIGITS]) if len(text) <= _MAX_SECONDS_DIGITS else 10.0**_MAX_SECONDS_DIGITS
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.fromtimestamp(now, UTC)).total_seconds())


class _TooLarge(Exception):
    pass


async def _bounded(content: aiohttp.StreamReader, limit: int) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(65_536):
        body += chunk
        if len(body) > limit:
            raise _TooLarge
    return bytes(body)


class _LostError(aiohttp.ClientError):
    """The connection broke after the request may have been sent."""


async def _sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    # aiohttp itself sends a DELETE or GET again when the connection breaks. Then a DELETE that took effect, followed by
    # a refused second connection, would look as if nothing had ever left. It does so only for the errors renamed here.
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        problem = type(error).__name__
    raise _LostError(problem)


def _headers(request: Request) -> dict[str, str]:
    # A compressed reply could unfold to any size, so none is asked for.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if request.bearer:
        headers["Authorization"] = f"Bearer {request.bearer}"
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if request.idempotency_key:
        headers["Idempotency-Key"] = request.idempotency_key
    return headers
