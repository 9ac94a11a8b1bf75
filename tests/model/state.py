"""What a state of the model is: plain tuples, so that states can be compared and remembered.

Versions are small numbers, made small again after every step (`canonical`): only equality
and order between copies of one object matter, never how often it was written.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

T = TypeVar("T")

OFF, SWAP, LIST, TOUCH, LEAD = range(5)
"""How far an allocator has come: not begun, pool read, holder swapped, connections listed, leading."""

NEWEST = 99
"""The version of an object that is created again: newer than anything remembered of its namesake."""

ANY = -1
"""The version of a grant that may be claimed on any: only for a mutant of rule 7."""


class Conn(NamedTuple):
    """A MakiniConnection as stored, or as somebody remembers it. `claim` is 1 + pool, `intent` is 1 + process."""

    rv: int
    uid: int
    pool: int
    want: bool = True
    deleting: bool = False
    finalizer: bool = True
    claim: int = 0
    is_free: bool = False
    """The claim cost nothing new: the connection was alive at Makini already (rule 5)."""
    intent: int = 0
    cid: int = 0
    ended: bool = False
    """Somebody else disconnected it: not opened again before it was set to `connected: false`."""
    wiped: bool = False
    revoked: bool = False
    """Its token is to be revoked: closed and opened again, with the claim kept."""


class Pool(NamedTuple):
    """A CreditPool; `holder` is 1 + process."""

    rv: int
    limit: int
    holder: int
    held: int


class Row(NamedTuple):
    """A connection alive at Makini; its marker names the uid."""

    rid: int
    uid: int
    account: int


class Grant(NamedTuple):
    """Credits that a process has committed and whose claim it has not seen."""

    pool: int
    uid: int
    rv: int
    is_free: bool


class Commit(NamedTuple):
    """A decision on its way to the pool."""

    base: Pool
    held: int
    batch: tuple[Grant, ...]


class Task(NamedTuple):
    """What a worker is about to do for the connection that it has looked at."""

    kind: str
    conn: Conn
    arg: int = 0
    is_free: bool = False


class Listing(NamedTuple):
    """A listing of an account under way, and what happened since it began."""

    rows: frozenset[Row]
    led: frozenset[int]
    doubts: frozenset[int] = frozenset()
    closed: frozenset[int] = frozenset()
    opened: frozenset[Row] = frozenset()
    missing: frozenset[int] = frozenset()
    """Recorded ids that were missing before it began."""


class Index(NamedTuple):
    """What a process knows of an account: rows of the last complete listing, and uids that only a new one can tell."""

    known: frozenset[Row] = frozenset()
    doubts: frozenset[int] = frozenset()
    listing: Listing | None = None
    missing: frozenset[int] = frozenset()
    """Recorded ids that the last complete listing did not have."""
    absent: frozenset[int] = frozenset()
    """Those that were missing once more: they are believed to be gone."""


class Proc(NamedTuple):
    """A process of the operator: everything that it loses when it ends."""

    phases: tuple[int, ...]
    pools: tuple[Pool | None, ...]
    cache: tuple[Conn | None, ...]
    commits: tuple[Commit | None, ...]
    tasks: tuple[Task | None, ...]
    indexes: tuple[Index, ...]
    trusted: frozenset[int] = frozenset()
    """Pools whose account was listed since they were taken over."""
    grants: frozenset[Grant] = frozenset()
    fresh: frozenset[int] = frozenset()
    """uids whose intent this process has recorded and not acted on: one POST each."""
    untouched: frozenset[tuple[int, int]] = frozenset()
    released: frozenset[tuple[int, int]] = frozenset()
    """Only for a ledger that is kept as a running difference."""
    audit: int = -1
    """Only for a ledger with an audit of its own: the sum that it has listed."""


class Message(NamedTuple):
    """A request whose sender has given up, and which may still arrive."""

    kind: str
    conn: Conn
    arg: int = 0


class State(NamedTuple):
    """What is stored, what is alive at Makini, the processes, the network, and the faults that may still happen."""

    pools: tuple[Pool, ...]
    conns: tuple[Conn | None, ...]
    alive: frozenset[Row]
    procs: tuple[Proc | None, ...]
    net: frozenset[Message]
    budget: tuple[int, ...]


def put(items: tuple[T, ...], i: int, item: T) -> tuple[T, ...]:
    """The tuple with one place changed."""
    return (*items[:i], item, *items[i + 1 :])
