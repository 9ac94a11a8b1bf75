"""The embedded Makini as one aiohttp application: routes, the error shape, one log line per request.

It is the backend of sandbox environments, of the demo and of the tests. Guarantees: every error leaves in the API's
shape (an unknown path and a crash included), except where a fault was asked for; a log line names method, route,
status, duration and request id, and never a body, a header or a query string.
"""

import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Handler

from makini_operator.sandbox import accounts, data, inspection, integration, people, writes
from makini_operator.sandbox.asked import KEPT, MAX_PATH, Asked
from makini_operator.sandbox.context import COUNTS, DATA, FAULTS, LOG, SETTINGS, STORE, SYNCS, now
from makini_operator.sandbox.faults import Faults
from makini_operator.sandbox.problems import ApiError, as_response
from makini_operator.sandbox.records.dataset import Dataset
from makini_operator.sandbox.settings import MAX_SCALE, SandboxSettings
from makini_operator.sandbox.store import Store
from makini_operator.sandbox.suffering import suffer

logger = logging.getLogger(__name__)

_UNKNOWN = "unknown"
_DATA_ROUTES = ("/api/erp/", "/api/eam/")
_TEST_ROUTES = "/sandbox/"
_ROUTER_ERRORS = {
    404: ApiError(404, "ROUTE_NOT_FOUND", "no such path"),
    405: ApiError(405, "METHOD_NOT_ALLOWED", "the path exists, the method does not"),
    413: ApiError(413, "BODY_TOO_LARGE", "the body is too large"),
}


def create_app(settings: SandboxSettings) -> web.Application:
    """Return the application; its store is open from here on and closes with the application.

    Raises:
        OSError, sqlite3.Error: the state file cannot be opened.
        ValueError: a setting makes no sense.
    """
    _check(settings)
    app = web.Application(middlewares=[_observed], client_max_size=settings.max_body_bytes)
    app[SETTINGS] = settings
    app[STORE] = Store(settings.state)
    app[FAULTS] = Faults()
    app[COUNTS] = Counter()
    app[DATA] = Dataset(settings.scale)
    app[SYNCS] = {}
    app[LOG] = deque(maxlen=KEPT)
    app.cleanup_ctx.append(_closing_store)
    app.add_routes(_routes())
    if settings.allow_faults:
        app.add_routes(inspection.routes())
    return app


def _check(settings: SandboxSettings) -> None:
    if not settings.client_id or not settings.client_secret:
        raise ValueError("expected a client id and a client secret, found an empty one")
    if settings.page_size < 1:
        raise ValueError("expected a page size of at least 1")
    if min(settings.token_life.total_seconds(), settings.admin_token_life.total_seconds()) <= 0:
        raise ValueError("expected tokens to live for some time")
    if settings.scale is not None and not 1 <= settings.scale <= MAX_SCALE:
        raise ValueError(f"expected between 1 and {MAX_SCALE} purchase orders")


def _routes() -> list[web.RouteDef]:
    connections = "/api/system/connections"
    return [
        web.post("/link/token", accounts.issue_account_token),
        web.get(connections, accounts.list_connections, allow_head=False),
        web.post(connections, accounts.create_connection),
        web.delete(connections + "/{id}", accounts.disconnect),
        web.get(connections + "/{id}/metadata", accounts.list_metadata, allow_head=False),
        web.post(connections + "/{id}/metadata", accounts.set_metadata),
        web.post(connections + "/{id}/token", accounts.mint_token),
        web.get("/api/system/platforms", accounts.list_platforms, allow_head=False),
        web.get("/api/system/client", accounts.show_client, allow_head=False),
        *integration.routes(),
        *data.routes(),
        *writes.routes(),
        *people.routes(),
    ]


async def _closing_store(app: web.Application) -> AsyncIterator[None]:
    yield
    app[STORE].close()


@web.middleware
async def _observed(request: web.Request, handler: Handler) -> web.StreamResponse:
    started, request_id = time.monotonic(), f"rq_{secrets.token_hex(8)}"
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else _UNKNOWN
    request.app[COUNTS][f"{request.method} {route}"] += 1
    response = await _answer(request, handler, request_id=request_id)
    if not response.prepared:
        response.headers["X-Request-Id"] = request_id
    taken = time.monotonic() - started
    if request.path not in people.PATHS and not request.path.startswith("/browse/"):
        # The page needs no token, so only sample records are named in it: of all else the route, without ids.
        path = (request.path if request.path.startswith(_DATA_ROUTES) else route)[:MAX_PATH]
        request.app[LOG].append(
            Asked(at=now(request), method=request.method[:10], path=path, status=response.status, taken=taken)
        )
    logger.info("%s %s %d %.3fs %s", request.method, route, response.status, taken, request_id)
    return response


async def _answer(request: web.Request, handler: Handler, *, request_id: str) -> web.StreamResponse:
    rule = None if request.path.startswith(_TEST_ROUTES) else request.app[FAULTS].take(request)
    try:
        return await (handler(request) if rule is None else suffer(rule, request, handler))
    except ApiError as error:
        return as_response(error, request_id=request_id)
    except web.HTTPException as error:
        known = _ROUTER_ERRORS.get(error.status)
        return as_response(known or ApiError(error.status, "REQUEST_FAILED", error.reason), request_id=request_id)
    except Exception:
        logger.exception("bug in the sandbox, request %s", request_id)
        return as_response(ApiError(500, "INTERNAL_ERROR", "a bug in the sandbox"), request_id=request_id)
