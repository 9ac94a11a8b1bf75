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
    around = surroundings(len(rows), base=address(request), number=number, per_page=per_page, total=total)
    return web.json_response({"data": list(rows), **around})


def address(request: web.Request) -> str:
    """Return the address that was asked, without its query."""
    return f"{request.scheme}://{request.host}{request.rel_url.raw_path}"


def surroundings(rows: int, *, base: str, number: int, per_page: int, total: int) -> dict[str, Any]:
    """Return `links` and `meta` of a page with so many rows (makini-facts, API v3)."""
    last = max(1, -(-total // per_page))
    first_row = (number - 1) * per_page + 1
    return {
        "links": {
            "first": f"{base}?page=1",
            "last": f"{base}?page={last}",
            "prev": f"{base}?page={number - 1}" if number > 1 else None,
            "next": f"{base}?page={number + 1}" if number < last else None,
        },
        "meta": {
            "current_page": number,
            "from": first_row if rows else None,
            "last_page": last,
            "path": base,
            "per_page": per_page,
            "to": first_row + rows - 1 if rows else None,
            "total": total,
        },
    }
