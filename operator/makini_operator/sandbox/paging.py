"""The vendor's envelope of a list: `data`, `links` and `meta` (makini-facts, API v3), by page number."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from makini_operator.sandbox.problems import bad_request


def page_number(request: web.Request) -> int:
    """Return the asked page, 1 by default; raises ApiError (400) when it is not a positive number."""
    return positive(request, "page", default=1)


def positive(request: web.Request, name: str, *, default: int) -> int:
    """Return a query parameter as a number above 0; raises ApiError (400) otherwise."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):  # noqa: PLR2004 - fits any int
        raise bad_request("INVALID_PARAMETER", f"{name} must be a positive number")
    return int(text)


def envelope(request: web.Request, rows: Sequence[Any], *, number: int, per_page: int, total: int) -> web.Response:
    """Answer with one page. A page beyond the last is empty, not an error."""
    last = max(1, -(-total // per_page))
    path = str(request.url.with_query(None))
    first_row = (number - 1) * per_page + 1
    return web.json_response(
        {
            "data": list(rows),
            "links": {
                "first": f"{path}?page=1",
                "last": f"{path}?page={last}",
                "prev": f"{path}?page={number - 1}" if number > 1 else None,
                "next": f"{path}?page={number + 1}" if number < last else None,
            },
            "meta": {
                "current_page": number,
                "from": first_row if rows else None,
                "last_page": last,
                "path": path,
                "per_page": per_page,
                "to": first_row + len(rows) - 1 if rows else None,
                "total": total,
            },
        }
    )
