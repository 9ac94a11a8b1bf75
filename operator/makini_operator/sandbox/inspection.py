"""`/sandbox/…`: what tests ask for and the vendor does not have. Served only when faults are allowed.

Faults go in and out here, requests are counted, and every connection there ever was can be seen, so that a test can
prove what Makini would bill. Nothing here shows a secret: none is stored.
"""

from collections import Counter

from aiohttp import web

from makini_operator.sandbox.changes import change_all
from makini_operator.sandbox.context import COUNTS, DATA, FAULTS, STORE, json_body, now, require_account, timestamp


def routes() -> list[web.RouteDef]:
    """Return the routes for tests."""
    return [
        web.post("/sandbox/faults", add_faults),
        web.delete("/sandbox/faults", clear_faults),
        web.post("/sandbox/changes", change_records),
        web.get("/sandbox/requests", show_requests, allow_head=False),
        web.get("/sandbox/connections", show_connections, allow_head=False),
    ]


async def add_faults(request: web.Request) -> web.Response:
    """Add rules (see `faults.Rule`) behind those in force."""
    return web.json_response({"rules": request.app[FAULTS].add(await json_body(request))})


async def clear_faults(request: web.Request) -> web.Response:
    """Forget all rules."""
    request.app[FAULTS].clear()
    return web.json_response({"rules": 0})


async def change_records(request: web.Request) -> web.Response:
    """Change, add, remove or mark records at once (see `changes.change_all`)."""
    changed = change_all(request.app[DATA], await json_body(request), now=now(request))
    return web.json_response({"changed": changed})


async def show_requests(request: web.Request) -> web.Response:
    """Return how often each `METHOD route` was asked since the start."""
    counts: Counter[str] = request.app[COUNTS]
    return web.json_response(dict(counts))


async def show_connections(request: web.Request) -> web.Response:
    """Return every connection there ever was, the disconnected ones too, oldest first."""
    account = require_account(request)
    rows = request.app[STORE].listed(account=account, with_disconnected=True)
    return web.json_response(
        {
            "data": [
                {
                    "id": row.id,
                    "name": row.name,
                    "provider": row.provider,
                    "status": row.status,
                    "metadata": row.metadata,
                    "created_at": timestamp(row.created_at),
                    "disconnected_at": timestamp(row.disconnected_at),
                }
                for row in rows
            ]
        }
    )
