"""What users, administrators and fate may do, each as often as the scenario allows."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.moves import Step, is_accepted, left, new_rid, spend, with_proc, write_conn, write_pool
from tests.model.rules import FAULTS, Rules, Scenario
from tests.model.state import NEWEST, Conn, Listing, Message, Row, State, Task, put
from tests.model.working import effect


def disturbs(s: State, rules: Rules, scenario: Scenario) -> Iterator[Step]:
    """Everything that is nobody's task."""
    for i, conn in enumerate(s.conns):
        yield from _on_connection(s, i, conn, scenario)
    for k, pool in enumerate(s.pools):
        if left(s, "lower") and pool.limit:
            lowered = write_pool(s, k, pool._replace(limit=pool.limit - 1))
            yield Step(9, f"the limit of pool {k} is lowered", spend(lowered, "lower"))
        if left(s, "wipe_pool") and pool.holder:
            wiped = write_pool(s, k, pool._replace(holder=0, held=0))
            yield Step(9, f"the status of pool {k} is wiped", spend(wiped, "wipe_pool"))
    for p, proc in enumerate(s.procs):
        if proc is not None:
            yield from _on_process(s, p, rules)
    if left(s, "restore"):
        yield _restored(s)
    for message in s.net:
        yield from _arrives(s, message, rules, scenario)


def _on_process(s: State, p: int, rules: Rules) -> Iterator[Step]:
    if left(s, "crash"):
        yield Step(9, f"P{p} crashes", spend(with_proc(s, p, None), "crash"))
    if left(s, "relist"):
        yield from _lists_again(s, p)
    if left(s, "back") and not rules.monotonic:
        yield from _goes_back(s, p)


def _on_connection(s: State, i: int, conn: Conn | None, scenario: Scenario) -> Iterator[Step]:
    if conn is None:
        if left(s, "recreate"):
            generation = 1 + scenario.faults["recreate"] - s.budget[FAULTS.index("recreate")]
            made = Conn(NEWEST, i + len(s.conns) * generation, scenario.pool_of[i], finalizer=False)
            yield Step(9, f"slot {i} is created again", spend(s._replace(conns=put(s.conns, i, made)), "recreate"))
        return
    if left(s, "delete") and not conn.deleting:
        deleted = write_conn(s, conn._replace(deleting=True))
        wrong = ""
        if not conn.finalizer:
            deleted = s._replace(conns=put(s.conns, i, None))
            wrong = f"uid {conn.uid} goes with its claim" if conn.claim else ""
        yield Step(9, f"uid {conn.uid} is deleted", spend(deleted, "delete"), wrong)
    if left(s, "toggle") and not conn.deleting:
        toggled = write_conn(s, conn._replace(want=not conn.want))
        yield Step(9, f"uid {conn.uid} is set to connected: {not conn.want}", spend(toggled, "toggle"))
    if left(s, "wipe") and (conn.claim or conn.intent or conn.cid):
        yield Step(9, f"the status of uid {conn.uid} is wiped", spend(write_conn(s, wiped(conn)), "wipe"))
    if left(s, "revoke") and conn.claim and conn.cid and not conn.deleting:
        revoked = write_conn(s, conn._replace(revoked=True))
        yield Step(9, f"the token of uid {conn.uid} is to be revoked", spend(revoked, "revoke"))
    if left(s, "move") and not conn.claim and not conn.cid and len(s.pools) > 1:
        moved = write_conn(s, conn._replace(pool=1 - conn.pool))
        yield Step(9, f"uid {conn.uid} is moved to pool {1 - conn.pool}", spend(moved, "move"))


def wiped(conn: Conn) -> Conn:
    """Without its status."""
    return conn._replace(claim=0, is_free=False, intent=0, cid=0, ended=False, wiped=True, revoked=False)


def _lists_again(s: State, p: int) -> Iterator[Step]:
    """An account is listed now and then, also without a reason; that takes time."""
    proc = s.procs[p]
    assert proc is not None
    for a, index in enumerate(proc.indexes):
        if index.listing is None:
            listing = Listing(frozenset(row for row in s.alive if row.account == a), frozenset(), missing=index.missing)
            begun = proc._replace(indexes=put(proc.indexes, a, index._replace(listing=listing)))
            yield Step(9, f"P{p} begins a routine listing of account {a}", spend(with_proc(s, p, begun), "relist"))


def _goes_back(s: State, p: int) -> Iterator[Step]:
    """A list from a lagging API server, taken for the truth."""
    proc = s.procs[p]
    assert proc is not None
    for i, conn in enumerate(proc.cache):
        if conn is not None and conn.claim:
            old = conn._replace(rv=conn.rv - 1, claim=0, is_free=False, intent=0, cid=0)
            back = proc._replace(cache=put(proc.cache, i, old))
            yield Step(9, f"P{p} sees an older version of uid {conn.uid}", spend(with_proc(s, p, back), "back"))


def _restored(s: State) -> Step:
    for i, conn in enumerate(s.conns):
        if conn:
            s = s._replace(conns=put(s.conns, i, wiped(conn)._replace(rv=conn.rv + 1)))
    for k, pool in enumerate(s.pools):
        s = write_pool(s, k, pool._replace(holder=0, held=0))
    nobody = (None,) * len(s.procs)
    return Step(9, "everything is restored without status", spend(s._replace(procs=nobody, net=frozenset()), "restore"))


def _arrives(s: State, message: Message, rules: Rules, scenario: Scenario) -> Iterator[Step]:
    """A request whose sender has given up long ago takes effect."""
    rest = s._replace(net=s.net - {message})
    uid = message.conn.uid
    if message.kind == "post":
        row = Row(new_rid(s), uid, scenario.accounts[message.conn.pool])
        yield Step(9, f"late: connection {row.rid} for uid {uid} opens", rest._replace(alive=s.alive | {row}))
    elif is_accepted(s, message.conn, rules.claim):
        current = s.conns[uid % len(s.conns)]
        assert current is not None
        task = Task("claim", message.conn, 0, bool(message.arg))
        yield Step(9, f"late: claim of uid {uid} is written", effect(rest, current, task, 8, scenario)[0])
