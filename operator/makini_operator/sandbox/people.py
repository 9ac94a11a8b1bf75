"""The page for people at `/`: what this is, what it has, what to try, and what was asked lately.

Plain HTML without scripts and without any other host. It needs no token, so it shows nothing that does: sample records,
which are the same for everybody, and of the account only who it is. The log has methods and the paths of
records, of other calls only the route without ids, and never a query, a body or a header.
"""

import json
from datetime import UTC, datetime
from html import escape

from aiohttp import web

from makini_operator.sandbox.asked import Asked, Log
from makini_operator.sandbox.context import DATA, LOG, SETTINGS, STORE, account_id
from makini_operator.sandbox.entities.catalogue import served
from makini_operator.sandbox.entities.model import BOTH, Entity
from makini_operator.sandbox.error_cases import ERROR_CASES
from makini_operator.sandbox.paging import page_number
from makini_operator.sandbox.problems import not_found

PATHS = ("/", "/log")  # themselves not in the log; nor is what is below /browse/
_ROWS = 10
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'self'"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1d2733}
h1{margin-bottom:0}h2{margin-top:2rem;border-bottom:1px solid #d5dce3}code,pre{font:13px/1.45 monospace}
pre{background:#f3f6f8;padding:.5rem .7rem;white-space:pre-wrap;overflow-wrap:anywhere;border-radius:4px;margin:.3rem 0}
.many{columns:3;list-style:none;padding:0}.many span,td.n{color:#66727f}table{border-collapse:collapse}
td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}.bad{color:#a3121f}
iframe{width:100%;height:15rem;border:1px solid #d5dce3;border-radius:4px}a{color:#0b5fae}
"""
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{head}
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body>{body}</body></html>"""
_HELPERS = """as() { printf 'Authorization: Bearer %s' "$1" | curl -sS -H @- "${@:2}"; }
read -rs token   # paste the token of a connection; it is not shown"""


def routes() -> list[web.RouteDef]:
    """Return the pages for people."""
    return [
        web.get("/", show_start, allow_head=False),
        web.get("/log", show_log, allow_head=False),
        web.get("/browse/{api}/{entity:.+}", show_records, allow_head=False),
    ]


async def show_start(request: web.Request) -> web.Response:
    """`GET /`."""
    settings = request.app[SETTINGS]
    account = account_id(settings.client_id)
    connections = request.app[STORE].count(account=account, with_disconnected=False)
    url = f"{request.scheme}://{request.host}"
    return _page(
        "Makini sandbox",
        f"""<h1>Makini sandbox</h1>
<p>An embedded Makini with sample data, to test an integration without touching production. It speaks version 3 of
the API. Writes are checked and answered as if they had been done, and change nothing.</p>
<h2>Account</h2>
<table><tr><th>Account<td><code>{escape(account)}</code><tr><th>Client id<td><code>{escape(settings.client_id)}</code>
<tr><th>Connections<td>{connections} open</table>
<p>Every connection reaches the same records, with a token of its own. The client secret is not shown here.</p>
{"".join(_entities(request, api) for api in BOTH)}
<h2>Errors to try</h2><p>First, in a shell:</p><pre>{escape(_HELPERS)}</pre>
{"".join(_case(url))}
<h2>Requests</h2><iframe src="/log" title="The last requests"></iframe>""",
    )


async def show_log(request: web.Request) -> web.Response:
    """`GET /log`: the last requests, the newest first, anew every two seconds."""
    log: Log = request.app[LOG]
    rows = "".join(_row(asked) for asked in reversed(log)) or "<tr><td>nothing yet"
    return _page("Requests", f"<table>{rows}</table>", head='<meta http-equiv="refresh" content="2">')


async def show_records(request: web.Request) -> web.Response:
    """`GET /browse/{api}/{entity}`: records for reading, the newest first."""
    api, name = request.match_info["api"], request.match_info["entity"]
    entity = next((one for one in served(api) if one.name == name), None)
    if entity is None:
        raise not_found("entity")
    view, number = request.app[DATA].views[name], page_number(request)
    positions = range(len(view) - 1 - (number - 1) * _ROWS, max(-1, len(view) - 1 - number * _ROWS), -1)
    records = [escape(json.dumps(view.record(view.index(at)), indent=1)) for at in positions]
    last = max(1, -(-len(view) // _ROWS))
    turns = [(number - 1, "newer")] * (number > 1) + [(number + 1, "older")] * (number < last)
    links = " · ".join(f'<a href="?page={to}">{word}</a>' for to, word in turns)
    return _page(
        f"{api}/{name}",
        f'<p><a href="/">Makini sandbox</a></p><h1>{escape(name)}</h1>'
        f"<p><code>GET /api/{escape(api)}/{escape(name)}</code> · {len(view):,} records · page {number} of {last:,}"
        f" · {links}</p>" + "".join(f"<pre>{record}</pre>" for record in records),
    )


def _entities(request: web.Request, api: str) -> str:
    items = "".join(_entity(request, api, entity) for entity in served(api))
    return f'<h2>{api.upper()}</h2><p><code>GET /api/{api}/…</code></p><ul class="many">{items}</ul>'


def _entity(request: web.Request, api: str, entity: Entity) -> str:
    count = len(request.app[DATA].views[entity.name])
    return f'<li><a href="/browse/{api}/{entity.name}">{escape(entity.name)}</a> <span>{count:,}</span>'


def _case(url: str) -> list[str]:
    return [
        f"<p>{escape(case.title)}: <b>{case.status}</b> <code>{case.code}</code></p><pre>{escape(case.curl(url))}</pre>"
        for case in ERROR_CASES
    ]


def _row(asked: Asked) -> str:
    at = datetime.fromtimestamp(asked.at, UTC).strftime("%H:%M:%S")
    mark = ' class="bad"' if asked.status >= 400 else ""  # noqa: PLR2004 - where errors begin
    return (
        f"<tr><td class=n>{at}<td>{escape(asked.method)}<td><code>{escape(asked.path)}</code>"
        f"<td{mark}>{asked.status}<td class=n>{asked.taken * 1000:.0f} ms"
    )


def _page(title: str, body: str, *, head: str = "") -> web.Response:
    text = _PAGE.format(title=escape(title), head=head, style=_STYLE, body=body)
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _POLICY})
