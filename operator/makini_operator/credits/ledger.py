"""The credit ledger: who holds credits, and who may have some next.

The promise is that a pool never grants more than its limit. This module is the pure half:
`decide` looks at a snapshot and says what is held and whom to grant. The other half, the
order of reads and writes that makes a snapshot trustworthy, is `controllers/allocator.py`.

Two rules matter here (numbers as in docs/credits.md):

* Rule 5: `held` is a *union* over uids of claims seen, grants not seen yet, and connections
  alive at Makini. It is recomputed from scratch each time and never added to or subtracted
  from, so nothing can be counted twice or forgotten, and a uid that already counts may
  always be granted: it costs nothing new.
* Rule 6: a batch is chosen only from uids that are not counted, with held + batch ≤ limit.

The queue (Kueue's words): by priority, creation time, uid. BestEffortFIFO lets whoever fits
pass those who do not; with StrictFIFO nobody overtakes. A namespace's limit holds up nobody
but its own connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from makini_operator.resources.pool import Strategy
from makini_operator.resources.systems import Tier


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
    priority: int = 0


class Obstacle(Enum):
    """What a waiting request waits for."""

    CREDITS = auto()
    """The pool has too few left."""
    NAMESPACE = auto()
    """Its namespace holds as many as it may."""
    LINE = auto()
    """It would fit, but somebody before it does not, and nobody overtakes."""
    NOTHING = auto()
    """The pool grants nothing at all now."""


@dataclass(frozen=True)
class Place:
    """Where a waiting request stands; `position` is 1 for who is next."""

    request: Request
    position: int
    obstacle: Obstacle


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
    outdated: frozenset[str] = frozenset()
    """uids of requests whose connection has changed since: they keep their place and are granted when read again."""
    strategy: Strategy = Strategy.BEST_EFFORT_FIFO
    namespace_limit: int | None = None
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """Namespace of each uid that counts, as far as it is known."""


@dataclass(frozen=True)
class Decision:
    """What to commit. `held` includes the batch."""

    held: int
    holding: int
    batch: tuple[Request, ...]
    waiting: tuple[Place, ...]
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
    """Choose whom to grant, in the order of the queue."""
    books = _Books(snapshot)
    batch: list[Request] = []
    waiting: list[Place] = []
    is_blocked = False
    for request in in_order(r for r in snapshot.requests if r.uid not in snapshot.grants):
        obstacle = books.obstacle(request, is_blocked=is_blocked)
        if obstacle is None and request.uid in snapshot.outdated:
            books.reserve(request)
            continue
        if obstacle is None:
            books.add(request)
            batch.append(request)
            continue
        waiting.append(Place(request, len(waiting) + 1, obstacle))
        is_blocked |= obstacle is Obstacle.CREDITS and snapshot.strategy is Strategy.STRICT_FIFO
    return Decision(books.held, len(books.union), tuple(batch), tuple(waiting), snapshot.limit)


def in_order(requests: Iterable[Request]) -> list[Request]:
    """The queue: by priority, creation time, uid."""
    return sorted(requests, key=lambda request: (-request.priority, request.created_at, request.uid))


class _Books:
    """What is held while a batch is being chosen."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.union = counted(snapshot.claims, snapshot.grants, snapshot.alive)
        self.held = sum(self.union.values())
        self._reserved = 0
        self._by_namespace: dict[str, int] = {}
        for uid, amount in self.union.items():
            self._count(snapshot.namespaces.get(uid), amount)

    def obstacle(self, request: Request, *, is_blocked: bool) -> Obstacle | None:
        """What keeps this request from being granted now; what costs nothing new may always be granted (rule 5)."""
        if not self._snapshot.may_grant:
            return Obstacle.NOTHING
        cost = self._cost(request)
        if cost == 0:
            return None
        limit = self._snapshot.namespace_limit
        if limit is not None and self._by_namespace.get(request.namespace, 0) + cost > limit:
            return Obstacle.NAMESPACE
        if self.held + self._reserved + cost > self._snapshot.limit:
            return Obstacle.CREDITS
        return Obstacle.LINE if is_blocked else None

    def add(self, request: Request) -> None:
        """Count it as granted."""
        cost = self._cost(request)
        self.union[request.uid] = max(request.amount, self.union.get(request.uid, 0))
        self.held += cost
        self._count(request.namespace, cost)

    def reserve(self, request: Request) -> None:
        """Keep its credits for it, without counting them as held."""
        cost = self._cost(request)
        self._reserved += cost
        self._count(request.namespace, cost)

    def _cost(self, request: Request) -> int:
        return max(0, request.amount - self.union.get(request.uid, 0))

    def _count(self, namespace: str | None, amount: int) -> None:
        if namespace is not None:
            self._by_namespace[namespace] = self._by_namespace.get(namespace, 0) + amount
