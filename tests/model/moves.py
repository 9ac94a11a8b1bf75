"""Small changes of a state that several steps share, and what a step is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.model.rules import FAULTS, Precondition
from tests.model.state import ANY, LEAD, OFF, Conn, Grant, Index, Pool, Proc, Row, State, put


class Step(NamedTuple):
    """Something that may happen next. `rank`: what comes first when nothing disturbs any more."""

    rank: int
    label: str
    state: State
    violation: str = ""


def start(pools: int, accounts: int, slots: int) -> Proc:
    """A process that knows nothing."""
    return Proc(
        (OFF,) * pools, (None,) * pools, (None,) * slots, (None,) * pools, (None,) * slots, (Index(),) * accounts
    )


def left(s: State, fault: str) -> bool:
    """Whether this fault may still happen."""
    return s.budget[FAULTS.index(fault)] > 0


def spend(s: State, fault: str) -> State:
    """One less of this fault."""
    i = FAULTS.index(fault)
    return s._replace(budget=put(s.budget, i, s.budget[i] - 1))


def with_proc(s: State, p: int, proc: Proc | None) -> State:
    return s._replace(procs=put(s.procs, p, proc))


def write_conn(s: State, conn: Conn) -> State:
    """Store a connection: a new version."""
    i = conn.uid % len(s.conns)
    before = s.conns[i]
    rv = (before.rv if before else conn.rv) + 1
    return s._replace(conns=put(s.conns, i, conn._replace(rv=rv)))


def write_pool(s: State, k: int, pool: Pool) -> State:
    return s._replace(pools=put(s.pools, k, pool._replace(rv=s.pools[k].rv + 1)))


def is_accepted(s: State, decided_on: Conn, precondition: Precondition) -> bool:
    """Whether the API server takes a write with this precondition."""
    current = s.conns[decided_on.uid % len(s.conns)]
    if current is None:
        return False
    if precondition == "name":
        return True
    if precondition == "uid":
        return current.uid == decided_on.uid
    return (current.uid, current.rv) == (decided_on.uid, decided_on.rv)


def remember(proc: Proc, i: int, conn: Conn | None) -> Proc:
    """The process has seen this version; what it knew of an object that is gone, it forgets (rule 8)."""
    proc = proc._replace(cache=put(proc.cache, i, conn))
    if not proc.grants:
        return proc
    count = len(proc.cache)
    seen = frozenset(
        g for g in proc.grants if g.uid % count == i and not (conn and conn.uid == g.uid and _is_unseen(conn, g))
    )
    return proc._replace(grants=proc.grants - seen) if seen else proc


def _is_unseen(conn: Conn, grant: Grant) -> bool:
    return not conn.claim and (conn.rv <= grant.rv or grant.rv == ANY)


def ids_of(proc: Proc, account: int, uid: int) -> tuple[int, ...]:
    """What is known to be alive for a uid."""
    return tuple(sorted(row.rid for row in proc.indexes[account].known if row.uid == uid))


def doubt(proc: Proc, account: int, uid: int) -> Proc:
    """Only a listing that begins from now on tells about this uid."""
    index = proc.indexes[account]
    listing = index.listing and index.listing._replace(doubts=index.listing.doubts | {uid})
    index = index._replace(doubts=index.doubts | {uid}, listing=listing)
    return proc._replace(indexes=put(proc.indexes, account, index))


def opened(proc: Proc, row: Row) -> Proc:
    """We opened it and know its id: no doubt is left."""
    index = proc.indexes[row.account]
    listing = index.listing and index.listing._replace(
        opened=index.listing.opened | {row}, doubts=index.listing.doubts - {row.uid}
    )
    index = index._replace(known=index.known | {row}, doubts=index.doubts - {row.uid}, listing=listing)
    return proc._replace(indexes=put(proc.indexes, row.account, index))


def closed(proc: Proc, account: int, rid: int, uid: int) -> Proc:
    """Makini has confirmed this disconnect; only a new listing tells whether anything else is left."""
    index = proc.indexes[account]
    known = frozenset(row for row in index.known if row.rid != rid)
    listing = index.listing and index.listing._replace(closed=index.listing.closed | {rid})
    proc = proc._replace(indexes=put(proc.indexes, account, index._replace(known=known, listing=listing)))
    return doubt(proc, account, uid)


def new_rid(s: State) -> int:
    """An id that nothing refers to any more: ids are never used twice."""
    used = {row.rid for row in s.alive} | {c.cid for c in s.conns if c} | {m.conn.cid for m in s.net}
    for proc in s.procs:
        if proc:
            used |= _referred(proc)
    return next(rid for rid in range(1, len(used) + 2) if rid not in used)


def _referred(proc: Proc) -> set[int]:
    used = {c.cid for c in proc.cache if c}
    for task in proc.tasks:
        if task:
            used |= {task.arg, task.conn.cid}
    for index in proc.indexes:
        used |= {row.rid for row in index.known}
        if index.listing:
            used |= {row.rid for row in index.listing.rows | index.listing.opened} | index.listing.closed
    return used


def leads(proc: Proc, k: int) -> bool:
    return proc.phases[k] == LEAD


def grant_of(proc: Proc, pool: int, uid: int) -> Grant | None:
    return next((g for g in proc.grants if (g.pool, g.uid) == (pool, uid)), None)


def uids(items: Iterable[Conn | None]) -> set[int]:
    return {c.uid for c in items if c}
