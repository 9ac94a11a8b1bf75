"""How a request suffers the misfortune that a rule has for it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from makini_operator.sandbox import changes, page_faults
from makini_operator.sandbox.context import DATA, now
from makini_operator.sandbox.faults import Kind, Rule
from makini_operator.sandbox.problems import ApiError

_STATUS_CODES = {401: "AUTHENTICATION_FAILED", 403: "FORBIDDEN", 429: "RATE_LIMIT_EXCEEDED", 503: "UNAVAILABLE"}
_HTML = "<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>gateway</body></html>"
_PAGE_FAULTS: dict[Kind, Callable[[dict[str, Any]], dict[str, Any]]] = {
    Kind.NO_ENVELOPE: page_faults.without_envelope,
    Kind.EMPTY_PAGE: page_faults.without_records,
    Kind.NO_DATA: page_faults.without_data,
    Kind.FOREIGN_NEXT: page_faults.with_foreign_links,
}


async def suffer(
    rule: Rule, request: web.Request, serve: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer the request the way the rule wants.

    Raises:
        ApiError: for the kind `status`, and whatever `serve` raises.
    """
    match rule.kind:
        case Kind.LATENCY:
            await asyncio.sleep(rule.seconds)
            return await serve(request)
        case Kind.STATUS:
            headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
            code = _STATUS_CODES.get(rule.status, "INJECTED_FAULT")
            raise ApiError(rule.status, code, "a fault that a test asked for", headers=headers)
        case Kind.GATEWAY:
            page = _HTML.format(status=rule.status)
            return web.Response(status=rule.status, text=page, content_type="text/html")
        case Kind.DROP_BEFORE:
            return _hang_up(request)
        case Kind.DROP_AFTER:
            with suppress(ApiError, web.HTTPException):
                await serve(request)
            return _hang_up(request)
        case Kind.TRUNCATE:
            return await _truncated(request, await serve(request))
        case Kind.CHANGE | Kind.APPEAR | Kind.VANISH | Kind.DELETE:
            if (entity := changes.entity_of(request.path)) is not None:
                kind = changes.Change(rule.kind.value)
                changes.change(request.app[DATA], kind, entity, now=now(request), count=rule.count)
            return await serve(request)
        case _:
            return _spoilt(await serve(request), _PAGE_FAULTS[rule.kind])


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # goes nowhere


async def _truncated(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    body = _bytes(response)
    headers = {"Content-Type": response.headers["Content-Type"], "Content-Length": str(len(body))}
    cut = web.StreamResponse(status=response.status, headers=headers)
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()  # what was written still goes out
    return cut


def _spoilt(response: web.StreamResponse, spoil: Callable[[dict[str, Any]], dict[str, Any]]) -> web.StreamResponse:
    body = json.loads(_bytes(response))
    return web.json_response(spoil(body) if isinstance(body, dict) else body, status=response.status)


def _bytes(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes) else b"{}"
