"""What a worker decides for one connection: the part of `lifecycle/plan.py` that touches the ledger or Makini."""

from __future__ import annotations

from tests.model.granting import may_be_granted
from tests.model.moves import grant_of, ids_of, leads
from tests.model.rules import Rules, Scenario
from tests.model.state import ANY, Conn, Proc, Task

MISS = "miss"
"""The recorded id is not listed: nothing is done before another listing says so, too."""


def plan(proc: Proc, conn: Conn, p: int, rules: Rules, scenario: Scenario) -> Task | None:
    """The next effect for this connection, or None: nothing to do, or something to wait for."""
    if not leads(proc, conn.pool):
        return None
    if conn.deleting or not conn.want:
        return _down(proc, conn, rules, scenario)
    if not conn.finalizer and rules.finalizer_first:
        return Task("add finalizer", conn)
    ids = ids_of(proc, scenario.accounts[conn.pool], conn.uid)
    if conn.ended:
        return Task("close", conn, ids[0]) if ids else None
    if not conn.claim:
        return _claim(proc, conn, ids, scenario)
    if not conn.finalizer:
        return Task("add finalizer", conn)
    if not conn.cid:
        return _open(proc, conn, p, rules, scenario)
    if conn.revoked:
        return _revoke(proc, conn, ids, rules, scenario)
    return _keep(proc, conn, ids, rules, scenario)


def _is_complete(proc: Proc, conn: Conn, scenario: Scenario) -> bool:
    return conn.pool in proc.trusted and conn.uid not in proc.indexes[scenario.accounts[conn.pool]].doubts


def _down(proc: Proc, conn: Conn, rules: Rules, scenario: Scenario) -> Task | None:
    ids = ids_of(proc, scenario.accounts[conn.pool], conn.uid)
    may_be_open = bool(conn.claim or conn.cid or conn.intent or ids or (conn.wiped and conn.finalizer))
    if ids:
        return Task("close", conn, ids[0])
    if may_be_open and rules.close_lists and not _is_complete(proc, conn, scenario):
        return None
    if conn.deleting and not rules.finalizer_last:
        return Task("remove finalizer", conn)
    if conn.claim or conn.cid or conn.intent or conn.ended:
        return Task("release", conn)
    return Task("remove finalizer", conn) if conn.deleting and conn.finalizer else None


def _claim(proc: Proc, conn: Conn, ids: tuple[int, ...], scenario: Scenario) -> Task | None:
    grant = grant_of(proc, conn.pool, conn.uid)
    if grant is None or not may_be_granted(proc, conn, scenario):
        return None
    if grant.rv not in (conn.rv, ANY):
        return None
    return Task("claim", conn, ids[0] if ids else 0, grant.is_free)


def _open(proc: Proc, conn: Conn, p: int, rules: Rules, scenario: Scenario) -> Task | None:
    ids = ids_of(proc, scenario.accounts[conn.pool], conn.uid)
    if conn.intent == p + 1 and (conn.uid in proc.fresh or not rules.one_post):
        return Task("post", conn)
    if not _is_complete(proc, conn, scenario):
        return None
    if ids:
        return Task("record", conn, ids[0])
    return Task("intent", conn) if rules.intent else Task("post", conn)


def _revoke(proc: Proc, conn: Conn, ids: tuple[int, ...], rules: Rules, scenario: Scenario) -> Task | None:
    if ids:
        return Task("close", conn, ids[0])
    if rules.close_lists and not _is_complete(proc, conn, scenario):
        return None
    return Task("reopen" if rules.revocation_keeps else "release", conn)


def _keep(proc: Proc, conn: Conn, ids: tuple[int, ...], rules: Rules, scenario: Scenario) -> Task | None:
    if not _is_complete(proc, conn, scenario):
        return None
    if conn.cid not in ids:
        if not rules.clear_unlisted:
            return None
        if conn.cid not in proc.indexes[scenario.accounts[conn.pool]].absent:
            return Task(MISS, conn, conn.cid)
        return Task("close", conn, ids[0]) if ids else Task("end", conn)
    surplus = [rid for rid in ids if rid != conn.cid]
    return Task("close", conn, surplus[0]) if surplus and rules.close_surplus else None
