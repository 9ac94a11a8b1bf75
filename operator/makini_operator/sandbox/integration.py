"""What a connection's token says about the connection itself: who it is, its sync, its end, its system's own API."""

from typing import Any

from aiohttp import web

from makini_operator.sandbox.context import STORE, SYNCS, Caller, json_body, now, require_connection, timestamp
from makini_operator.sandbox.problems import bad_request

SYNC_SECONDS = 2.0  # how long the pretended refresh from the source takes
_METHODS = ("get", "post", "put", "delete")


def routes() -> list[web.RouteDef]:
    """Return the routes of a connection's own affairs."""
    return [
        web.get("/api/integrations/current", show_integration, allow_head=False),
        web.delete("/api/integrations/current", disconnect_itself),
        web.post("/api/integrations/sync", start_sync),
        web.get("/api/integrations/sync/status", show_sync, allow_head=False),
        web.post("/api/passthrough", pass_through),
    ]


async def show_integration(request: web.Request) -> web.Response:
    """`GET /api/integrations/current`: the connection that the token belongs to."""
    caller = require_connection(request)
    connection = caller.connection
    return web.json_response(
        {
            "data": {
                "id": connection.id,
                "company_name": connection.name,
                "email": connection.email,
                "provider": connection.provider,
                "updated_at": timestamp(connection.updated_at),
                **_sync(request, caller),
            }
        }
    )


async def disconnect_itself(request: web.Request) -> web.Response:
    """`DELETE /api/integrations/current`: the connection closes itself; its token dies with it."""
    caller = require_connection(request)
    request.app[STORE].close_connection(account=caller.account, connection_id=caller.connection.id, now=now(request))
    return web.json_response({})


async def start_sync(request: web.Request) -> web.Response:
    """`POST /api/integrations/sync`: asks for a refresh from the source, which is over after two seconds.

    In the vendor's 2023 files, later removed from them (makini-facts): the shape of the answer is assumed.
    """
    caller = require_connection(request)
    request.app[SYNCS][caller.connection.id] = now(request)
    return web.json_response({"data": _sync(request, caller)})


async def show_sync(request: web.Request) -> web.Response:
    """`GET /api/integrations/sync/status`: inprogress, or done and since when."""
    return web.json_response({"data": _sync(request, require_connection(request))})


async def pass_through(request: web.Request) -> web.Response:
    """`POST /api/passthrough`: what the customer's system itself would answer; the sandbox has none and repeats it."""
    require_connection(request)
    body = await json_body(request)
    if not isinstance(body, dict):
        raise bad_request("VALIDATION_FAILED", "expected an object")
    method, path, sql = body.get("method"), body.get("path"), body.get("sql")
    if not isinstance(method, str) or method.lower() not in _METHODS:
        raise bad_request("VALIDATION_FAILED", f"method is required: one of {', '.join(_METHODS)}")
    if not isinstance(path if path is not None else sql, str):
        raise bad_request("VALIDATION_FAILED", "path (or sql) is required: a text")
    asked = {"method": method.lower(), "path": path, "sql": sql, "query": body.get("query"), "body": body.get("body")}
    return web.json_response({"data": {"status": 200, "headers": {}, "body": {"sandbox": True, "asked": asked}}})


def _sync(request: web.Request, caller: Caller) -> dict[str, Any]:
    started = request.app[SYNCS].get(caller.connection.id)
    if started is None:
        return {"sync_status": "done", "sync_updated_at": timestamp(caller.connection.created_at)}
    is_over = now(request) >= started + SYNC_SECONDS
    return {
        "sync_status": "done" if is_over else "inprogress",
        "sync_updated_at": timestamp(started + SYNC_SECONDS if is_over else started),
    }
