"""What every handler needs: the settings, the store, and who is asking.

A token speaks either for the account or for one connection, never for both: the wrong kind is a 403, an unknown or
dead one a 401. No handler reads a connection id of its own choosing with a connection's token, so a token cannot
reach a neighbour.
"""

import hashlib
import json
import math
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from makini_operator.sandbox.asked import Log
from makini_operator.sandbox.faults import Faults
from makini_operator.sandbox.problems import ApiError, bad_request
from makini_operator.sandbox.records.dataset import Dataset
from makini_operator.sandbox.settings import SandboxSettings
from makini_operator.sandbox.store import Connection, Store

_MAX_DEPTH = 32  # of a body; what is answered can be written again without trouble
SETTINGS = web.AppKey("settings", SandboxSettings)
STORE = web.AppKey("store", Store)
FAULTS = web.AppKey("faults", Faults)
COUNTS: web.AppKey[Counter[str]] = web.AppKey("counts", Counter)
DATA = web.AppKey("data", Dataset)
LOG: web.AppKey[Log] = web.AppKey("log", deque)  # the newest last
SYNCS: web.AppKey[dict[str, float]] = web.AppKey("syncs", dict)  # connection id: when a refresh was asked for


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The connection that a request's token belongs to, and its account."""

    account: str
    connection: Connection


def account_id(client_id: str) -> str:
    """Return the id of the account that belongs to a client id; the same for every start."""
    return "acc_" + hashlib.sha256(b"makini-sandbox-account:" + client_id.encode()).hexdigest()[:16]


def now(request: web.Request) -> float:
    """Return the sandbox's time in unix seconds."""
    return request.app[SETTINGS].clock()


def timestamp(seconds: float | None) -> str | None:
    """Render unix seconds the way the API writes times."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def require_account(request: web.Request) -> str:
    """Return the account that the request's token speaks for; raises ApiError 401 or 403."""
    account, connection_id = _bearer(request)
    if connection_id is not None:
        raise ApiError(403, "FORBIDDEN", "this token reaches one connection, not the account")
    return account


def require_connection(request: web.Request) -> Caller:
    """Return the living connection that the request's token speaks for; raises ApiError 401 or 403."""
    account, connection_id = _bearer(request)
    if connection_id is None:
        raise ApiError(403, "FORBIDDEN", "this token reaches the account, not the data of a connection")
    connection = request.app[STORE].connection(account=account, connection_id=connection_id)
    if connection is None:
        raise _unauthenticated()
    return Caller(account=account, connection=connection)


async def json_body(request: web.Request) -> Any:
    """Return the parsed body; raises ApiError (400) when it is not JSON."""
    try:
        body = json.loads(await request.read(), parse_constant=_refused, parse_float=_finite)
    except (ValueError, RecursionError):
        raise bad_request("INVALID_JSON", "the body is not JSON") from None
    if _is_deep(body):
        raise bad_request("INVALID_JSON", f"the body is nested deeper than {_MAX_DEPTH} levels")
    return body


async def form_body(request: web.Request) -> dict[str, Any]:
    """Return the fields of a form, files among them; raises ApiError (400) when it cannot be read."""
    try:
        return dict(await request.post())
    except (ValueError, AssertionError, LookupError, HttpProcessingError):  # what aiohttp makes of a broken form
        raise bad_request("VALIDATION_FAILED", "the form cannot be read") from None


def _refused(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are Python's idea of JSON, nobody else's


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(number)
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        parts = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [inner for part in parts for inner in part]
    return bool(level)


def _bearer(request: web.Request) -> tuple[str, str | None]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = request.app[STORE].bearer(token.strip(), now=now(request)) if scheme.lower() == "bearer" else None
    if bearer is None or bearer.account != account_id(request.app[SETTINGS].client_id):
        raise _unauthenticated()
    return bearer.account, bearer.connection_id


def _unauthenticated() -> ApiError:
    return ApiError(401, "AUTHENTICATION_FAILED", "the token is missing, unknown, expired or revoked")
