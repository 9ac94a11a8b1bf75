"""The credit ledger: who holds credits, and who may have some next.

The promise is that a pool never grants more than its limit. This module is the pure half:
`decide` looks at a snapshot and says what is held and whom to grant. The other half, the
order of reads and writes that makes a snapshot trustworthy, is `controllers/allocator.py`.

Two rules matter here (numbers as in docs/architecture.md):

* Rule 5: `held` is a *union* over uids of claims seen, grants not seen yet, and connections
  alive at Makini. It is recomputed from scratch each time and never added to or subtracted
  from, so nothing can be counted twice or forgotten, and a uid that already counts may
  always be granted: it costs nothing new.
* Rule 6: a batch is chosen only from uids that are not counted, with held + batch ≤ limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from makini_operator.resources.pool import Tier


@dataclass(frozen=True)
class Request:
    """A connection that asks for credits, as read at `resource_version`."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    created_at: str
    amount: int
    tier: Tier


@dataclass(frozen=True)
class Grant:
    """Credits committed to a uid whose claim has not been seen yet.

    The claim may be written only on `resource_version`, which was read before the commit (rule 7).
    """

    uid: str
    resource_version: str
    amount: int
    tier: Tier


@dataclass(frozen=True)
class Snapshot:
    """Everything that a decision looks at; amounts in credits, keyed by the connection's uid."""

    limit: int
    may_grant: bool
    claims: Mapping[str, int]
    grants: Mapping[str, int]
    alive: Mapping[str, int]
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Decision:
    """What to commit. `held` includes the batch."""

    held: int
    holding: int
    batch: tuple[Request, ...]
    waiting: tuple[Request, ...]
    limit: int

    @property
    def available(self) -> int:
        """Credits that can still be granted."""
        return max(0, self.limit - self.held)


def counted(*holdings: Mapping[str, int]) -> dict[str, int]:
    """The union of holdings; where they disagree about a uid, the larger amount counts."""
    union: dict[str, int] = {}
    for holding in holdings:
        for uid, amount in holding.items():
            union[uid] = max(amount, union.get(uid, 0))
    return union


def decide(snapshot: Snapshot) -> Decision:
    """Choose whom to grant: first come, first served; who does not fit lets smaller ones pass."""
    union = counted(snapshot.claims, snapshot.grants, snapshot.alive)
    held = sum(union.values())
    batch: list[Request] = []
    waiting: list[Request] = []
    for request in in_order(r for r in snapshot.requests if r.uid not in snapshot.grants):
        cost = _cost(request, union)
        if snapshot.may_grant and (cost == 0 or held + cost <= snapshot.limit):
            batch.append(request)
            union[request.uid] = max(request.amount, union.get(request.uid, 0))
            held += cost
        else:
            waiting.append(request)
    return Decision(held, len(union), tuple(batch), tuple(waiting), snapshot.limit)


def in_order(requests: Iterable[Request]) -> list[Request]:
    """The queue: by creation time, then uid."""
    return sorted(requests, key=lambda request: (request.created_at, request.uid))


def _cost(request: Request, union: Mapping[str, int]) -> int:
    return max(0, request.amount - union.get(request.uid, 0))
