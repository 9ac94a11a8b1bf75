"""From Makini's JSON to values, strictly: what is not the API's shape raises `ShapeError` and is never guessed.

The vendor's files do not pin the answers down (its token schema is empty, its example contradicts the guide), so two
freedoms are granted, and only these: an object may come bare or wrapped as `{"data": {…}}`, and a token may be called
`access_token` or `token`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from makini_operator.makini.types import ConnectionToken, CurrentIntegration, RemoteConnection

_ABSOLUTE_FROM = 10**9  # `expires_in` is unix time by the guide; a smaller number can only be a life in seconds
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")  # what fits an HTTP header and a Secret
_REQUEST_ID_KEYS = ("request_id", "requestId", "request-id")  # the name is not documented


class ShapeError(Exception):
    """The answer is not what the API promises. The text names what was expected and never quotes the answer."""


@dataclass(frozen=True, kw_only=True)
class ErrorBody:
    """Makini's own error shape (makini-facts: code, type, message, request id)."""

    code: str
    message: str
    request_id: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a listing, with what its `meta` claims about the whole."""

    rows: list[RemoteConnection]
    number: int
    last: int
    total: int


def parse_json(body: bytes) -> Any:
    """Return the parsed body, None for an empty one.

    Raises:
        ShapeError: the body is not JSON.
    """
    if not body.strip():
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    raise ShapeError("expected JSON")


def error_body(body: bytes) -> ErrorBody | None:
    """Return the error if the body is in the API's own shape, None for anything else (say a gateway's page)."""
    try:
        payload = parse_json(body)
    except ShapeError:
        return None
    if not isinstance(payload, dict):
        return None
    code, kind, message = (payload.get(key) for key in ("code", "type", "message"))
    request_id = next((payload[key] for key in _REQUEST_ID_KEYS if isinstance(payload.get(key), str)), None)
    if not (isinstance(code, str) and isinstance(kind, str) and isinstance(message, str) and request_id is not None):
        return None
    return ErrorBody(code=code, message=message, request_id=request_id)


def is_oauth_refusal(body: bytes) -> bool:
    """Tell whether a token endpoint refused the client in OAuth's own shape (RFC 6749, 5.2)."""
    try:
        payload = parse_json(body)
    except ShapeError:
        return False
    return isinstance(payload, dict) and isinstance(payload.get("error"), str)


def token(payload: Any, *, asked_at: float) -> ConnectionToken:
    """Read a token; `asked_at` (unix seconds) is when the request left, so a relative life is never overestimated.

    Raises:
        ShapeError: no usable token, or no usable end of its life.
    """
    fields = _object(payload)
    value = fields.get("access_token", fields.get("token"))
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ShapeError("expected access_token or token")
    return ConnectionToken(token=value, expires_at=_expiry(fields.get("expires_in"), asked_at=asked_at))


def account_id(payload: Any) -> str:
    """Read the account's id from `GET /api/system/client`; raises ShapeError when there is none."""
    return _identifier(_object(payload).get("id"))


def current_integration(payload: Any) -> CurrentIntegration:
    """Read `GET /api/integrations/current`; raises ShapeError when it names no connection."""
    fields = _object(payload)
    return CurrentIntegration(
        id=_identifier(fields.get("id")),
        company_name=_text(fields, "company_name"),
        provider=_text(fields, "provider"),
        sync_status=_text(fields, "sync_status"),
    )


def page(payload: Any) -> Page:
    """Read one page of the connection list; raises ShapeError when its envelope does not say where and how many."""
    if not isinstance(payload, dict) or not isinstance(payload.get("data"), list):
        raise ShapeError("expected a page with data[]")
    meta = payload.get("meta")
    if not isinstance(meta, dict):
        raise ShapeError("expected a page with meta{}")
    return Page(
        rows=[_remote_connection(row) for row in payload["data"]],
        number=_count(meta, "current_page"),
        last=_count(meta, "last_page"),
        total=_count(meta, "total"),
    )


def _remote_connection(row: Any) -> RemoteConnection:
    if not isinstance(row, dict):
        raise ShapeError("expected objects in data[]")
    return RemoteConnection(
        id=_identifier(row.get("key", row.get("id"))),
        name=_text(row, "name"),
        status=_text(row, "status"),
        integration_name=_text(row, "integration_name"),
        user_metadata=row.get("user_metadata"),
    )


def _object(payload: Any) -> Mapping[str, Any]:
    inner = payload.get("data", payload) if isinstance(payload, dict) else payload
    if not isinstance(inner, dict):
        raise ShapeError("expected a JSON object")
    return inner


def _identifier(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise ShapeError("expected an id")
    return value


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ShapeError(f"expected text in {key}")
    return value


def _count(meta: Mapping[str, Any], key: str) -> int:
    value = meta.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ShapeError(f"expected a number in meta.{key}")
    return value


def _expiry(value: Any, *, asked_at: float) -> datetime:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else -1.0
        if number <= 0:
            raise ShapeError("expected expires_in")
        if number < _ABSOLUTE_FROM:
            return datetime.fromtimestamp(asked_at, UTC) + timedelta(seconds=number)
        return datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ShapeError("expected expires_in as unix time or seconds")
