"""Rules 7, 9 and 10: workers, each with one connection, beside each other and beside the allocator.

A worker looks (the version is decided on), then acts; between the two anything may happen.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.moves import (
    Step,
    closed,
    doubt,
    is_accepted,
    left,
    new_rid,
    opened,
    remember,
    spend,
    with_proc,
    write_conn,
)
from tests.model.planning import MISS, plan
from tests.model.rules import Precondition, Rules, Scenario
from tests.model.state import Conn, Message, Proc, Row, State, Task, put


def looks(s: State, p: int, i: int, rules: Rules, scenario: Scenario) -> Iterator[Step]:
    """The watch brings a connection up to date, or a free worker takes it up."""
    proc = s.procs[p]
    assert proc is not None
    if proc.cache[i] != s.conns[i]:
        yield Step(0, f"P{p} sees slot {i}", with_proc(s, p, remember(proc, i, s.conns[i])))
    conn = proc.cache[i]
    busy = sum(task is not None for task in proc.tasks)
    if conn is None or proc.tasks[i] is not None or busy >= scenario.workers:
        return
    task = plan(proc, conn, p, rules, scenario)
    if task is None:
        return
    if task.kind == MISS:
        a = scenario.accounts[conn.pool]
        index = proc.indexes[a]
        if task.arg not in index.missing:
            missed = index._replace(missing=index.missing | {task.arg})
            after = proc._replace(indexes=put(proc.indexes, a, missed))
            yield Step(5, f"P{p} misses connection {task.arg}", with_proc(s, p, after))
        return
    after = proc._replace(tasks=put(proc.tasks, i, task))
    if task.kind == "post":
        after = doubt(after._replace(fresh=proc.fresh - {conn.uid}), scenario.accounts[conn.pool], conn.uid)
    label = f"P{p} will {task.kind} uid {conn.uid}" + (f" (connection {task.arg})" if task.arg else "")
    yield Step(5, label, with_proc(s, p, after))


def acts(s: State, p: int, i: int, rules: Rules, scenario: Scenario, *, is_calm: bool) -> Iterator[Step]:
    """The worker does what it has decided."""
    proc = s.procs[p]
    assert proc is not None
    task = proc.tasks[i]
    if task is None:
        return
    free = proc._replace(tasks=put(proc.tasks, i, None))
    if task.kind == "close":
        yield _closes(s, p, free, task, scenario)
    elif task.kind == "post":
        yield from _posts(s, p, task, rules, scenario, is_calm=is_calm)
    else:
        yield from _writes(s, p, task, rules, scenario, is_calm=is_calm)


def _closes(s: State, p: int, proc: Proc, task: Task, scenario: Scenario) -> Step:
    alive = frozenset(row for row in s.alive if row.rid != task.arg)
    after = closed(proc, scenario.accounts[task.conn.pool], task.arg, task.conn.uid)
    return Step(3, f"P{p} disconnects {task.arg}", with_proc(s._replace(alive=alive), p, after))


def _posts(s: State, p: int, task: Task, rules: Rules, scenario: Scenario, *, is_calm: bool) -> Iterator[Step]:
    proc = s.procs[p]
    assert proc is not None
    proc = proc._replace(tasks=put(proc.tasks, task.conn.uid % len(s.conns), None))
    uid, account = task.conn.uid, scenario.accounts[task.conn.pool]
    row = Row(new_rid(s), uid, account)
    open_now = s._replace(alive=s.alive | {row})
    violation = ""
    if scenario.is_exact and any(r.uid == uid for r in s.alive):
        violation = f"a second connection of uid {uid} is opened"
    unknown = doubt(proc, account, uid) if rules.doubt_outcome else proc
    label = f"P{p} opens connection {row.rid} for uid {uid}"
    yield Step(3, label, with_proc(open_now, p, opened(proc, row)), violation)
    if is_calm:
        return
    if left(s, "lost"):
        yield Step(3, label + ", reply lost", spend(with_proc(open_now, p, unknown), "lost"), violation)
    if left(s, "late"):
        message = Message("post", task.conn)
        late = spend(with_proc(s, p, unknown), "late")._replace(net=s.net | {message})
        yield Step(3, f"P{p} gives up opening uid {uid}; it may still arrive", late)


def _writes(s: State, p: int, task: Task, rules: Rules, scenario: Scenario, *, is_calm: bool) -> Iterator[Step]:
    i = task.conn.uid % len(s.conns)
    proc = s.procs[p]
    assert proc is not None
    proc = proc._replace(tasks=put(proc.tasks, i, None))
    name = f"P{p} {task.kind} of uid {task.conn.uid}"
    if rules.forget == "sent" and task.kind == "claim":
        sent = frozenset(g for g in proc.grants if g.uid != task.conn.uid)
    else:
        sent = proc.grants
    if not is_accepted(s, task.conn, precondition(task.kind, rules)):
        after = remember(proc, i, s.conns[i])._replace(grants=sent & remember(proc, i, s.conns[i]).grants)
        yield Step(3, name + " is refused, reads again", with_proc(s, p, after))
        return
    current = s.conns[i]
    assert current is not None
    written, violation = effect(s, current, task, p, scenario)
    after = remember(proc, i, written.conns[i])
    if task.kind in ("intent", "claim") and written.conns[i] and written.conns[i].intent == p + 1:  # type: ignore[union-attr]
        after = after._replace(fresh=after.fresh | {current.uid})
    if not rules.recompute and task.kind in ("release", "end") and current.claim:
        after = after._replace(released=after.released | {(current.claim - 1, current.uid)})
    yield Step(3, name, with_proc(written, p, after), violation)
    if is_calm:
        return
    if left(s, "lost"):
        lost = with_proc(written, p, proc._replace(grants=sent))
        yield Step(3, name + ", reply lost", spend(lost, "lost"), violation)
    if left(s, "late") and task.kind == "claim":
        late = spend(with_proc(s, p, proc._replace(grants=sent)), "late")
        message = Message("claim", task.conn, int(task.is_free))
        yield Step(3, name + " gives up; it may still arrive", late._replace(net=s.net | {message}))


def precondition(kind: str, rules: Rules) -> Precondition:
    """What the write of this kind insists on."""
    special: dict[str, Precondition] = {
        "claim": rules.claim,
        "release": rules.release,
        "end": rules.release,
        "remove finalizer": rules.finalizer,
    }
    return special.get(kind, "rv")


def effect(s: State, current: Conn, task: Task, p: int, scenario: Scenario) -> tuple[State, str]:
    """The write itself, and what is wrong with it."""
    violation = ""
    if task.kind in ("release", "end", "reopen", "remove finalizer"):
        violation = _loses(s, current, task.kind, scenario)
    if task.kind == "claim":
        task = task._replace(is_free=task.is_free and any(row.uid == current.uid for row in s.alive))
    if task.kind == "remove finalizer":
        if not current.deleting:
            return write_conn(s, current._replace(finalizer=False)), ""
        gone = s._replace(conns=put(s.conns, current.uid % len(s.conns), None))
        return gone, violation or (f"uid {current.uid} goes with its claim" if current.claim else "")
    return write_conn(s, _changed(current, task, p)), violation


def _changed(conn: Conn, task: Task, p: int) -> Conn:
    if task.kind == "add finalizer":
        return conn._replace(finalizer=True)
    if task.kind == "claim":
        intent = 0 if task.arg else p + 1
        return conn._replace(
            claim=task.conn.pool + 1, is_free=task.is_free, cid=task.arg, intent=intent, ended=False, wiped=False
        )
    if task.kind == "intent":
        return conn._replace(intent=p + 1)
    if task.kind == "record":
        return conn._replace(cid=task.arg, intent=0)
    if task.kind == "reopen":
        return conn._replace(cid=0, intent=0, revoked=False)
    ended = task.kind == "end"
    return conn._replace(claim=0, is_free=False, cid=0, intent=0, wiped=False, revoked=False, ended=ended)


def _loses(s: State, conn: Conn, kind: str, scenario: Scenario) -> str:
    """What is wanted keeps its credits; what is alive is not taken for gone, and if all is known, not given up."""
    if kind == "release" and conn.want and not conn.deleting and conn.claim:
        return f"{kind} of uid {conn.uid}, which is wanted again"
    if kind == "end" and any(row.rid == conn.cid for row in s.alive):
        return f"{kind} of uid {conn.uid} while its recorded connection is alive"
    if scenario.is_exact and any(row.uid == conn.uid for row in s.alive):
        return f"{kind} of uid {conn.uid} while its connection is alive"
    return ""
