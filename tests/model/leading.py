"""Rules 1 to 4: how a process becomes the leader of a pool, and notices that it is not any more."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.moves import Step, left, remember, spend, start, with_proc, write_conn, write_pool
from tests.model.rules import Rules, Scenario
from tests.model.state import LEAD, LIST, OFF, SWAP, TOUCH, Proc, State, put


def starts(s: State, p: int, rules: Rules, scenario: Scenario, *, is_calm: bool) -> Iterator[Step]:
    """A process is started; what it takes over is decided in its own steps."""
    if not is_calm and not left(s, "start"):
        return
    proc = start(len(s.pools), max(scenario.accounts) + 1, len(s.conns))
    proc = proc._replace(phases=(SWAP,) * len(s.pools), pools=s.pools)
    if not rules.list_after_swap:
        proc = proc._replace(cache=s.conns)
    s = with_proc(s, p, proc)
    yield Step(1, f"P{p} starts and reads the pools", s if is_calm else spend(s, "start"))


def takes_over(s: State, p: int, k: int, rules: Rules, *, is_calm: bool) -> Iterator[Step]:
    """Read, swap, list, touch; each pool by itself."""
    proc = s.procs[p]
    assert proc is not None
    phase = proc.phases[k]
    if phase == SWAP:
        yield from _swaps(s, p, proc, k, rules, is_calm=is_calm)
    elif phase == LIST:
        yield _lists(s, p, proc, k, rules)
    elif phase == TOUCH:
        yield _touches(s, p, proc, k)


def _swaps(s: State, p: int, proc: Proc, k: int, rules: Rules, *, is_calm: bool) -> Iterator[Step]:
    pool = proc.pools[k]
    assert pool is not None
    if not rules.swap:
        yield Step(2, f"P{p} leads pool {k} without a swap", with_proc(s, p, _in_phase(proc, k, LIST)))
        return
    if pool.rv != s.pools[k].rv:
        yield Step(1, f"P{p} swap of pool {k} fails, reads again", with_proc(s, p, _with_pool(proc, k, s)))
        return
    holder = p + 1 if rules.holder_is_id else pool.holder + 1
    written = write_pool(s, k, pool._replace(holder=holder))
    after = _with_pool(proc, k, written)
    following = LIST if rules.list_after_swap else TOUCH
    if following == TOUCH:
        after = _to_touch(after, k, rules)
    yield Step(2, f"P{p} becomes holder of pool {k}", with_proc(written, p, _in_phase(after, k, following)))
    if not is_calm and left(s, "lost"):
        yield Step(2, f"P{p} becomes holder of pool {k}, reply lost, ends", spend(with_proc(written, p, None), "lost"))


def _lists(s: State, p: int, proc: Proc, k: int, rules: Rules) -> Step:
    for i, conn in enumerate(s.conns):
        proc = remember(proc, i, conn)
    proc = _in_phase(_to_touch(proc, k, rules), k, TOUCH)
    return Step(2, f"P{p} lists all connections for pool {k}", with_proc(s, p, proc))


def _to_touch(proc: Proc, k: int, rules: Rules) -> Proc:
    if not rules.touch:
        return proc
    unclaimed = {(k, c.uid) for c in proc.cache if c and c.pool == k and not c.claim}
    return proc._replace(untouched=proc.untouched | unclaimed)


def _touches(s: State, p: int, proc: Proc, k: int) -> Step:
    mine = sorted(uid for pool, uid in proc.untouched if pool == k)
    if not mine:
        return Step(2, f"P{p} leads pool {k}", with_proc(s, p, _in_phase(proc, k, LEAD)))
    uid = mine[0]
    i = uid % len(s.conns)
    known, current = proc.cache[i], s.conns[i]
    done = proc._replace(untouched=proc.untouched - {(k, uid)})
    if known is None or known.uid != uid or known.claim:
        return Step(2, f"P{p} need not touch uid {uid}", with_proc(s, p, done))
    if current is not None and (current.uid, current.rv) == (uid, known.rv):
        written = write_conn(s, current)
        return Step(2, f"P{p} touches uid {uid}", with_proc(written, p, remember(done, i, written.conns[i])))
    is_wanted = current is not None and current.uid == uid and not current.claim
    proc = remember(proc if is_wanted else done, i, current)
    return Step(2, f"P{p} touch of uid {uid} fails, reads it", with_proc(s, p, proc))


def sees_pool(s: State, p: int, k: int, rules: Rules) -> Iterator[Step]:
    """The watch, or a read, brings the pool up to date; whoever is not the holder ends."""
    proc = s.procs[p]
    assert proc is not None
    known = proc.pools[k]
    if known is not None and known.rv != s.pools[k].rv and proc.phases[k] not in (OFF, SWAP):
        yield reads_pool(s, p, k, rules)


def reads_pool(s: State, p: int, k: int, rules: Rules) -> Step:
    """The pool as it is now: still mine, or the end of the process (rule 3)."""
    proc = s.procs[p]
    assert proc is not None
    if is_mine(s, p, k, rules):
        proc = _with_pool(proc, k, s)
        proc = proc._replace(commits=put(proc.commits, k, None))
        return Step(1, f"P{p} reads pool {k}: still mine", with_proc(s, p, proc))
    return Step(1, f"P{p} reads pool {k}: not mine, ends", with_proc(s, p, None))


def is_mine(s: State, p: int, k: int, rules: Rules) -> bool:
    """Whether the process takes itself for the holder."""
    proc = s.procs[p]
    assert proc is not None
    known = proc.pools[k]
    if not rules.check_holder or not rules.swap:
        return True
    if not rules.holder_is_id:
        return known is not None and s.pools[k].holder == known.holder
    return s.pools[k].holder == p + 1


def _with_pool(proc: Proc, k: int, s: State) -> Proc:
    return proc._replace(pools=put(proc.pools, k, s.pools[k]))


def _in_phase(proc: Proc, k: int, phase: int) -> Proc:
    return proc._replace(phases=put(proc.phases, k, phase))
