"""The connection's side of the API: what its token reaches, and nothing of any other connection."""

from aiohttp import web

from makini_operator.sandbox.context import STORE, now, require_connection, timestamp
from makini_operator.sandbox.paging import envelope, page_number, positive
from makini_operator.sandbox.problems import not_found
from makini_operator.sandbox.sample_orders import ORDERS

_DEFAULT_PER_PAGE = 25
_MAX_PER_PAGE = 100


async def show_integration(request: web.Request) -> web.Response:
    """`GET /api/integrations/current`: the connection that the token belongs to."""
    connection = require_connection(request).connection
    return web.json_response(
        {
            "data": {
                "id": connection.id,
                "company_name": connection.name,
                "email": connection.email,
                "provider": connection.provider,
                "updated_at": timestamp(connection.updated_at),
                "sync_status": "done",
                "sync_updated_at": timestamp(connection.created_at),
            }
        }
    )


async def disconnect_itself(request: web.Request) -> web.Response:
    """`DELETE /api/integrations/current`: the connection closes itself; its token dies with it."""
    caller = require_connection(request)
    request.app[STORE].close_connection(account=caller.account, connection_id=caller.connection.id, now=now(request))
    return web.json_response({})


async def list_purchase_orders(request: web.Request) -> web.Response:
    """`GET /api/erp/purchase-orders`: the sample orders, newest change first, at most 100 on a page."""
    require_connection(request)
    number = page_number(request)
    size = min(_MAX_PER_PAGE, positive(request, "per_page", default=_DEFAULT_PER_PAGE))
    rows = ORDERS[(number - 1) * size : number * size]
    return envelope(request, rows, number=number, per_page=size, total=len(ORDERS))


async def show_purchase_order(request: web.Request) -> web.Response:
    """`GET /api/erp/purchase-orders/{key}`."""
    require_connection(request)
    order = next((order for order in ORDERS if order["key"] == request.match_info["key"]), None)
    if order is None:
        raise not_found("purchase_order")
    return web.json_response({"data": order})
