"""Errors of the sandbox, all in the one shape that Makini's clients rely on.

The shape is `{"code", "type", "message", "request_id"}` (makini-facts, API v3; the name `request_id` is assumed).
"""

from collections.abc import Mapping

from aiohttp import web

_TYPES = {400: "invalid_request", 401: "authentication", 403: "permission", 404: "not_found", 429: "rate_limit"}


class ApiError(Exception):
    """An answer other than success; the middleware turns it into the error shape."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def bad_request(code: str, message: str) -> ApiError:
    """Return the error for a request that is wrong as it stands."""
    return ApiError(400, code, message)


def not_found(what: str) -> ApiError:
    """Return the error for an object that does not exist (any more)."""
    return ApiError(404, f"{what.upper()}_NOT_FOUND", f"no such {what}")


def as_response(error: ApiError, *, request_id: str) -> web.Response:
    """Render an error in Makini's shape."""
    body = {
        "code": error.code,
        "type": _TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request"),  # noqa: PLR2004
        "message": error.message,
        "request_id": request_id,
    }
    return web.json_response(body, status=error.status, headers=error.headers)
