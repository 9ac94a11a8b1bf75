"""The account's side of the API: its token, its connections and their tokens and metadata.

As unhelpful as the real thing on purpose: no idempotency keys, no filter, small fixed pages, an answer to a create
that does not name the new connection, and metadata as a second call. Paths and fields: makini-facts, "API, v3".
"""

import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from makini_operator.sandbox.context import (
    SETTINGS,
    STORE,
    account_id,
    form_body,
    json_body,
    now,
    require_account,
    timestamp,
)
from makini_operator.sandbox.paging import envelope, page_number
from makini_operator.sandbox.platforms import PLATFORMS
from makini_operator.sandbox.problems import ApiError, bad_request, not_found
from makini_operator.sandbox.store import Connection

_MAX_TEXT = 500  # characters of a name, an address, a credential's name
_WRONG_PASSWORD = "wrong"  # noqa: S105 - what a test sends to be refused


async def issue_account_token(request: web.Request) -> web.Response:
    """`POST /link/token` with the grant client_credentials, as JSON or as a form."""
    fields = await _token_fields(request)
    if fields.get("grant_type") != "client_credentials":
        raise bad_request("UNSUPPORTED_GRANT_TYPE", "only the grant client_credentials is served here")
    settings = request.app[SETTINGS]
    id_fits = _same(fields.get("client_id"), settings.client_id)
    if not (_same(fields.get("client_secret"), settings.client_secret) and id_fits):
        raise ApiError(401, "AUTHENTICATION_FAILED", "unknown client or wrong secret")
    return web.json_response(_issue(request, None, life=settings.admin_token_life) | {"token_type": "bearer"})


async def list_connections(request: web.Request) -> web.Response:
    """`GET /api/system/connections`: fixed pages, oldest first."""
    account, number = require_account(request), page_number(request)
    settings, store = request.app[SETTINGS], request.app[STORE]
    size, kept = settings.page_size, settings.keep_disconnected
    rows = store.listed(account=account, with_disconnected=kept, offset=(number - 1) * size, limit=size)
    total = store.count(account=account, with_disconnected=kept)
    shown = [_shown(connection, account=account) for connection in rows]
    return envelope(request, shown, number=number, per_page=size, total=total)


async def create_connection(request: web.Request) -> web.Response:
    """`POST /api/system/connections`: opens a connection and answers with its token, not with its id."""
    account = require_account(request)
    body = await json_body(request)
    if not isinstance(body, dict):
        raise bad_request("VALIDATION_FAILED", "expected an object")
    provider = _required_text(body, "provider")
    if provider not in PLATFORMS:
        raise bad_request("PROVIDER_UNKNOWN", "no such provider; GET /api/system/platforms lists them")
    name, email = _required_text(body, "name"), body.get("email") or ""
    if not isinstance(email, str) or (email and "@" not in email):
        raise bad_request("VALIDATION_FAILED", "email must be an address")
    _check_credentials(body.get("credentials"))
    connection_id = request.app[STORE].open_connection(
        account=account, name=name, email=email, provider=provider, now=now(request)
    )
    return web.json_response({"data": _issue(request, connection_id, life=request.app[SETTINGS].token_life)})


async def disconnect(request: web.Request) -> web.Response:
    """`DELETE /api/system/connections/{id}`: its tokens are dead when the answer leaves."""
    account = require_account(request)
    if not request.app[STORE].close_connection(
        account=account, connection_id=request.match_info["id"], now=now(request)
    ):
        raise not_found("connection")
    return web.json_response({})


async def list_metadata(request: web.Request) -> web.Response:
    """`GET /api/system/connections/{id}/metadata`: a list of pairs, on one page."""
    connection = _connection(request, require_account(request))
    pairs = _pairs(connection.metadata)
    return envelope(request, pairs, number=1, per_page=max(1, len(pairs)), total=len(pairs))


async def set_metadata(request: web.Request) -> web.Response:
    """`POST /api/system/connections/{id}/metadata`: sets the given keys, keeps the others."""
    account = require_account(request)
    connection = _connection(request, account)
    body = await json_body(request)
    if not isinstance(body, list) or not all(_is_pair(item) for item in body):
        raise bad_request("VALIDATION_FAILED", "expected a list of {key, value}, both text")
    metadata = {item["key"]: item["value"] for item in body}
    request.app[STORE].merge_metadata(account=account, connection=connection, metadata=metadata, now=now(request))
    return web.json_response({"data": _pairs({**connection.metadata, **metadata})})


async def mint_token(request: web.Request) -> web.Response:
    """`POST /api/system/connections/{id}/token`: one more token of a connection."""
    connection = _connection(request, require_account(request))
    settings = request.app[SETTINGS]
    issued = _issue(request, connection.id, life=settings.token_life, kills_earlier=settings.second_token_kills_first)
    return web.json_response({"data": {"token": issued["access_token"], "expires_in": issued["expires_in"]}})


async def list_platforms(request: web.Request) -> web.Response:
    """`GET /api/system/platforms`."""
    require_account(request)
    number, size = page_number(request), request.app[SETTINGS].page_size
    everything = [{"key": key, "name": name} for key, name in PLATFORMS.items()]
    rows = everything[(number - 1) * size : number * size]
    return envelope(request, rows, number=number, per_page=size, total=len(everything))


async def show_client(request: web.Request) -> web.Response:
    """`GET /api/system/client`: who the account is, without its secret."""
    account = require_account(request)
    return web.json_response(
        {
            "data": {
                "id": account,
                "name": "Makini sandbox",
                "logo_url": "",
                "email": "sandbox@makini.example",
                "default_redirect": "",
                "redirects": [],
            }
        }
    )


async def _token_fields(request: web.Request) -> Mapping[str, Any]:
    if request.content_type == "application/x-www-form-urlencoded":
        return await form_body(request)
    body = await json_body(request)
    return body if isinstance(body, dict) else {}


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())


def _issue(
    request: web.Request, connection_id: str | None, *, life: timedelta, kills_earlier: bool = False
) -> dict[str, Any]:
    moment = now(request)
    expires_at = moment + life.total_seconds()
    token = request.app[STORE].issue_token(
        account=account_id(request.app[SETTINGS].client_id),
        connection_id=connection_id,
        expires_at=expires_at,
        now=moment,
        kills_earlier=kills_earlier,
    )
    # The refresh grant is not served, so this one opens nothing; it is here because the vendor sends one.
    return {"access_token": token, "refresh_token": secrets.token_urlsafe(32), "expires_in": int(expires_at)}


def _connection(request: web.Request, account: str) -> Connection:
    connection = request.app[STORE].connection(account=account, connection_id=request.match_info["id"])
    if connection is None:
        raise not_found("connection")
    return connection


def _required_text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT:
        raise bad_request("VALIDATION_FAILED", f"{key} is required: text of at most {_MAX_TEXT} characters")
    return value


def _check_credentials(credentials: object) -> None:
    if not isinstance(credentials, dict) or not credentials:
        raise bad_request("VALIDATION_FAILED", "credentials are required")
    if not all(isinstance(value, str) for value in credentials.values()):
        raise bad_request("VALIDATION_FAILED", "credentials must be text")
    if credentials.get("password") == _WRONG_PASSWORD:
        # Quotes the login back, as real systems do, so that clients learn to mask what they show.
        raise bad_request("CREDENTIALS_REJECTED", f"the system refused the login {credentials.get('login', '')!r}")


def _is_pair(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("key"), str) and isinstance(item.get("value"), str)


def _pairs(metadata: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in metadata.items()]


def _shown(connection: Connection, *, account: str) -> dict[str, Any]:
    return {
        "key": connection.id,
        "name": connection.name,
        "email": connection.email,
        "status": connection.status,
        "integration_name": connection.provider,
        "redirect": "",
        "scopes": "",
        "tags": [],
        "user_metadata": json.dumps(connection.metadata),
        "client_id": account,
        "updated_at": timestamp(connection.updated_at),
        "created_at": timestamp(connection.created_at),
        "connected_at": timestamp(connection.created_at),
    }
