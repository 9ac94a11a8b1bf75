"""Rules 5 to 8: the allocator's decisions and commits."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.leading import reads_pool
from tests.model.moves import Step, grant_of, leads, left, spend, with_proc, write_pool
from tests.model.rules import Rules, Scenario
from tests.model.state import ANY, Commit, Conn, Grant, Pool, Proc, State, put


def holdings(proc: Proc, k: int, rules: Rules, scenario: Scenario) -> set[int]:
    """The union of rule 5, as uids."""
    union = {c.uid for c in proc.cache if c and c.claim == k + 1}
    if rules.count_grants:
        union |= {g.uid for g in proc.grants if g.pool == k}
    if rules.count_alive:
        for row in proc.indexes[scenario.accounts[k]].known:
            conn = proc.cache[row.uid % len(proc.cache)]
            if conn is None or conn.uid != row.uid or _pool_of(conn) == k:
                union.add(row.uid)
    return union


def _pool_of(conn: Conn) -> int:
    return conn.claim - 1 if conn.claim else conn.pool


def may_be_granted(proc: Proc, conn: Conn, scenario: Scenario) -> bool:
    """What a worker asks before it stands in the queue: nothing is unknown of this connection at Makini."""
    k = conn.pool
    account = scenario.accounts[k]
    is_known = k in proc.trusted and conn.uid not in proc.indexes[account].doubts
    is_wanted = conn.want and not conn.deleting and not conn.ended and not conn.claim
    return leads(proc, k) and is_known and is_wanted


def decides(s: State, p: int, k: int, rules: Rules, scenario: Scenario) -> Iterator[Step]:
    """One decision over what the process knows; it is committed in a step of its own, or has no effect."""
    proc = s.procs[p]
    assert proc is not None
    base = proc.pools[k]
    if not leads(proc, k) or proc.commits[k] is not None or base is None:
        return
    commit = _decision(proc, k, base, rules, scenario)
    if commit.held == base.held and not commit.batch:
        return
    names = ", ".join(str(g.uid) for g in commit.batch) or "nobody"
    label = f"P{p} decides for pool {k}: held {commit.held}, granted {names}"
    is_free = commit.held == base.held and all(g.is_free for g in commit.batch)
    if (is_free and not rules.free_needs_commit) or not rules.commit_first:
        granted = proc._replace(grants=proc.grants | set(commit.batch))
        if not rules.commit_first and not is_free:
            granted = granted._replace(commits=put(proc.commits, k, commit))
        yield Step(4, label + " before any commit", with_proc(s, p, granted))
        return
    yield Step(4, label, with_proc(s, p, proc._replace(commits=put(proc.commits, k, commit))))


def _decision(proc: Proc, k: int, base: Pool, rules: Rules, scenario: Scenario) -> Commit:
    union = holdings(proc, k, rules, scenario)
    weight = lambda uid: scenario.weights[uid % len(proc.cache)]  # noqa: E731
    held = sum(weight(uid) for uid in union)
    if not rules.recompute:
        held = base.held - sum(weight(uid) for pool, uid in proc.released if pool == k)
    batch: list[Grant] = []
    for conn in proc.cache:
        if conn is None or conn.pool != k or (rules.finalizer_first and not conn.finalizer):
            continue
        if not may_be_granted(proc, conn, scenario) or grant_of(proc, k, conn.uid):
            continue
        is_free = conn.uid in union
        if not is_free and rules.fits and not _fits(conn, held, union, base.limit, scenario):
            continue
        held += 0 if is_free else weight(conn.uid)
        union = union | {conn.uid}
        batch.append(Grant(k, conn.uid, conn.rv if rules.claim_needs_version_of_commit else ANY, is_free))
    return Commit(base, held, tuple(batch))


def _fits(conn: Conn, held: int, union: set[int], limit: int, scenario: Scenario) -> bool:
    count = len(scenario.weights)
    cost = scenario.weights[conn.uid % count]
    if scenario.namespace_limit is not None:
        namespace = scenario.namespaces[conn.uid % count]
        mine = sum(scenario.weights[u % count] for u in union if scenario.namespaces[u % count] == namespace)
        if mine + cost > scenario.namespace_limit:
            return False
    return held + cost <= limit


def commits(s: State, p: int, k: int, rules: Rules, scenario: Scenario, *, is_calm: bool) -> Iterator[Step]:
    """The compare-and-swap of a decision; its outcome may be unknown."""
    proc = s.procs[p]
    assert proc is not None
    commit = proc.commits[k]
    if commit is None:
        return
    if commit.base.rv != s.pools[k].rv and rules.commit_compares:
        yield reads_pool(s, p, k, rules)
        return
    pool = s.pools[k]
    written = write_pool(s, k, pool._replace(held=commit.held))
    after = proc._replace(pools=put(proc.pools, k, written.pools[k]), commits=put(proc.commits, k, None))
    after = after._replace(grants=after.grants | _still_wanted(after, commit), released=frozenset())
    violation = _above_limit(s, k, commit, scenario)
    yield Step(2, f"P{p} commits held {commit.held} of pool {k}", with_proc(written, p, after), violation)
    if not is_calm and left(s, "lost"):
        lost = with_proc(written, p, proc)
        yield Step(2, f"P{p} commits held {commit.held} of pool {k}, reply lost", spend(lost, "lost"))


def _still_wanted(proc: Proc, commit: Commit) -> set[Grant]:
    """A connection that was seen to change during the commit is decided again."""
    count = len(proc.cache)
    return {g for g in commit.batch if (c := proc.cache[g.uid % count]) and c.uid == g.uid and g.rv in (c.rv, ANY)}


def _above_limit(s: State, k: int, commit: Commit, scenario: Scenario) -> str:
    """New grants together with the claims that are stored never exceed the limit in force."""
    new = {g.uid for g in commit.batch if not g.is_free}
    if not new:
        return ""
    stored = {c.uid for c in s.conns if c and c.claim == k + 1}
    if scenario.is_exact:
        stored |= {row.uid for row in s.alive if row.account == scenario.accounts[k]}
    total = sum(scenario.weights[u % len(s.conns)] for u in stored | new)
    return f"granted {total} of {s.pools[k].limit} in pool {k}" if total > s.pools[k].limit else ""


def audits(s: State, p: int, rules: Rules, scenario: Scenario) -> Iterator[Step]:
    """The mutant of rule 12: an audit that lists claims now and corrects the stored number later."""
    proc = s.procs[p]
    assert proc is not None
    if not rules.audit or not leads(proc, 0) or scenario.pool_of != (0,) * len(scenario.pool_of):
        return
    if proc.audit < 0:
        total = sum(scenario.weights[c.uid % len(s.conns)] for c in s.conns if c and c.claim)
        yield Step(8, f"P{p} audit lists claims of {total}", with_proc(s, p, proc._replace(audit=total)))
    elif proc.pools[0] is not None and proc.pools[0].rv == s.pools[0].rv:
        written = write_pool(s, 0, s.pools[0]._replace(held=proc.audit))
        after = proc._replace(audit=-1, pools=put(proc.pools, 0, written.pools[0]))
        yield Step(8, f"P{p} audit corrects held to {proc.audit}", with_proc(written, p, after))
