"""Misfortune on demand: what a network and a busy vendor do to a client, exactly when a test wants it.

Only served when the sandbox was started for tests. A rule names requests and one misfortune; the first rule that fits
a request and has uses left is spent on it. `drop-after` is the one that matters most: the effect happens and the
reply is lost.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

from makini_operator.sandbox.problems import ApiError, bad_request

_MAX_RULES = 1000
_STATUS_CODES = {401: "AUTHENTICATION_FAILED", 403: "FORBIDDEN", 429: "RATE_LIMIT_EXCEEDED", 503: "UNAVAILABLE"}
_HTML = "<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>gateway</body></html>"


class Kind(StrEnum):
    """What happens to a request that a rule fits."""

    LATENCY = "latency"  # wait `seconds`, then serve it
    STATUS = "status"  # answer `status` in the API's shape, without effect
    DROP_BEFORE = "drop-before"  # close the connection, without effect
    DROP_AFTER = "drop-after"  # serve it, then close the connection without a reply
    GATEWAY = "gateway"  # answer an HTML page with `status` (502), without effect


@dataclass(kw_only=True)
class Rule:
    """One misfortune. `times` counts down with each use; negative means forever."""

    kind: Kind
    path: re.Pattern[str]
    method: str | None
    times: int
    seconds: float
    status: int
    retry_after: int | None

    def fits(self, request: web.Request) -> bool:
        """Tell whether the rule applies to this request and has uses left."""
        by_method = self.method is None or self.method == request.method
        return self.times != 0 and by_method and self.path.search(request.path) is not None


class Faults:
    """The rules in force, in the order they were added."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, body: Any) -> int:
        """Add rules from JSON and return how many are in force; all or, with an ApiError (400), none."""
        if not isinstance(body, list):
            raise bad_request("INVALID_FAULTS", "expected a list of rules")
        self._rules = [rule for rule in self._rules if rule.times] + [_rule(item) for item in body]
        del self._rules[_MAX_RULES:]
        return len(self._rules)

    def clear(self) -> None:
        """Forget all rules."""
        self._rules = []

    def take(self, request: web.Request) -> Rule | None:
        """Spend one use of the first rule that fits."""
        rule = next((rule for rule in self._rules if rule.fits(request)), None)
        if rule is not None and rule.times > 0:
            rule.times -= 1
        return rule


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


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # goes nowhere


def _rule(item: Any) -> Rule:
    try:
        kind = Kind(item["kind"])
        status = int(item.get("status", 502 if kind is Kind.GATEWAY else 500))
        return Rule(
            kind=kind,
            path=re.compile(item["path"]),
            method=None if item.get("method") is None else str(item["method"]).upper(),
            times=int(item.get("times", 1)),
            seconds=float(item.get("seconds", 0.0)),
            status=_error_status(status),
            retry_after=int(item["retry_after"]) if "retry_after" in item else (1 if status == 429 else None),  # noqa: PLR2004
        )
    except (AttributeError, KeyError, TypeError, ValueError, re.error):
        pass
    raise bad_request(
        "INVALID_FAULTS", "expected rules of {kind, path, method?, times?, seconds?, status?, retry_after?}"
    )


def _error_status(status: int) -> int:
    if not 400 <= status <= 599:  # noqa: PLR2004 - the range of HTTP errors
        raise ValueError
    return status
