"""Misfortune on demand: what a network and a busy vendor do to a client, exactly when a test wants it.

Only served when the sandbox was started for tests. A rule names requests and one misfortune; the first rule that fits
a request and has uses left is spent on it. `drop-after` is the one that matters most: the effect happens and the
reply is lost.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

from makini_operator.sandbox import changes
from makini_operator.sandbox.problems import bad_request

_MAX_RULES = 1000


class Kind(StrEnum):
    """What happens to a request that a rule fits."""

    LATENCY = "latency"  # wait `seconds`, then serve it
    STATUS = "status"  # answer `status` in the API's shape, without effect
    DROP_BEFORE = "drop-before"  # close the connection, without effect
    DROP_AFTER = "drop-after"  # serve it, then close the connection without a reply
    GATEWAY = "gateway"  # answer an HTML page with `status` (502), without effect
    TRUNCATE = "truncate"  # serve it, then close the connection in the middle of the body
    NO_ENVELOPE = "no-envelope"  # a page without data and meta; this and the next three answer 200 (`page_faults`)
    EMPTY_PAGE = "empty-page"  # a page whose data is empty, its meta intact
    NO_DATA = "no-data"  # a page without data, its meta intact
    FOREIGN_NEXT = "foreign-next"  # a page whose links lead to another origin
    CHANGE = "change"  # before it is served, `count` records of the list change; so the next three (`changes`)
    APPEAR = "appear"
    VANISH = "vanish"
    DELETE = "delete"


@dataclass(kw_only=True)
class Rule:
    """One misfortune.

    Attributes:
        kind: what happens.
        path: searched in the path of a request.
        query: searched in its query, decoded; None fits any.
        method: None fits any.
        times: uses left, counted down; negative means forever.
        skip: so many fitting requests are spared before the first use.
        seconds: for latency.
        status: of the answer, for status and gateway.
        retry_after: seconds for the header Retry-After, or None for none.
        count: how many records change, for the kinds that change some.
    """

    kind: Kind
    path: re.Pattern[str]
    query: re.Pattern[str] | None
    method: str | None
    times: int
    skip: int
    count: int
    seconds: float
    status: int
    retry_after: int | None

    def fits(self, request: web.Request) -> bool:
        """Tell whether the rule applies to this request and has uses left."""
        by_method = self.method is None or self.method == request.method
        by_query = self.query is None or self.query.search(request.query_string) is not None
        return self.times != 0 and by_method and by_query and self.path.search(request.path) is not None


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
        """Spend one use of the first rule that fits and spares nobody any more."""
        for rule in self._rules:
            if not rule.fits(request):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            rule.times -= rule.times > 0
            return rule
        return None


def _rule(item: Any) -> Rule:
    try:
        kind = Kind(item["kind"])
        status = int(item.get("status", 502 if kind is Kind.GATEWAY else 500))
        return Rule(
            kind=kind,
            path=re.compile(item["path"]),
            query=None if item.get("query") is None else re.compile(item["query"]),
            method=None if item.get("method") is None else str(item["method"]).upper(),
            times=int(item.get("times", 1)),
            skip=int(item.get("skip", 0)),
            count=changes.number(item.get("count", 1)),
            seconds=float(item.get("seconds", 0.0)),
            status=_error_status(status),
            retry_after=int(item["retry_after"]) if "retry_after" in item else (1 if status == 429 else None),  # noqa: PLR2004
        )
    except (AttributeError, KeyError, TypeError, ValueError, re.error):
        pass
    raise bad_request(
        "INVALID_FAULTS",
        "expected rules of {kind, path, query?, method?, times?, skip?, count?, seconds?, status?, retry_after?}",
    )


def _error_status(status: int) -> int:
    if not 400 <= status <= 599:  # noqa: PLR2004 - the range of HTTP errors
        raise ValueError
    return status
