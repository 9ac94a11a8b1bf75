"""Makes states that differ only in how versions are numbered the same."""

from __future__ import annotations

from tests.model.state import ANY, Commit, Conn, Grant, Message, Pool, Proc, State, Task


def canonical(s: State) -> State:
    """The same state with the smallest version numbers that keep order and equality."""
    count = len(s.conns)
    versions: list[set[int]] = [set() for _ in range(count)]
    pools: list[set[int]] = [{p.rv} for p in s.pools]
    for i, conn in enumerate(s.conns):
        if conn:
            versions[i].add(conn.rv)
    for message in s.net:
        versions[message.conn.uid % count].add(message.conn.rv)
    for proc in s.procs:
        if proc:
            _collect(proc, versions, pools)
    if all(max(v, default=0) == len(v) - 1 or not v for v in (*versions, *pools)):
        return s
    ranks = [{rv: rank for rank, rv in enumerate(sorted(v))} for v in versions]
    pool_ranks = [{rv: rank for rank, rv in enumerate(sorted(v))} for v in pools]
    return _renumbered(s, ranks, pool_ranks)


def _collect(proc: Proc, versions: list[set[int]], pools: list[set[int]]) -> None:
    count = len(versions)
    for i, conn in enumerate(proc.cache):
        if conn:
            versions[i].add(conn.rv)
        task = proc.tasks[i]
        if task:
            versions[i].add(task.conn.rv)
    granted = list(proc.grants)
    for k, pool in enumerate(proc.pools):
        pools[k].update({pool.rv} if pool else ())
        commit = proc.commits[k]
        if commit:
            pools[k].add(commit.base.rv)
            granted.extend(commit.batch)
    for grant in granted:
        if grant.rv != ANY:
            versions[grant.uid % count].add(grant.rv)


def _renumbered(s: State, ranks: list[dict[int, int]], pool_ranks: list[dict[int, int]]) -> State:
    count = len(ranks)

    def conn(c: Conn) -> Conn:
        rank = ranks[c.uid % count][c.rv]
        return c if rank == c.rv else c._replace(rv=rank)

    def pool(k: int, p: Pool) -> Pool:
        rank = pool_ranks[k][p.rv]
        return p if rank == p.rv else p._replace(rv=rank)

    def grant(g: Grant) -> Grant:
        return g if g.rv == ANY else g._replace(rv=ranks[g.uid % count][g.rv])

    def task(t: Task) -> Task:
        return t._replace(conn=conn(t.conn))

    def commit(k: int, c: Commit) -> Commit:
        return Commit(pool(k, c.base), c.held, tuple(grant(g) for g in c.batch))

    def proc(p: Proc) -> Proc:
        phases, pools, cache, commits, tasks, indexes, trusted, grants, *rest = p
        return Proc(
            phases,
            tuple([x and pool(k, x) for k, x in enumerate(pools)]),
            tuple([c and conn(c) for c in cache]),
            tuple([c and commit(k, c) for k, c in enumerate(commits)]) if any(commits) else commits,
            tuple([t and task(t) for t in tasks]) if any(tasks) else tasks,
            indexes,
            trusted,
            frozenset([grant(g) for g in grants]) if grants else grants,
            *rest,
        )

    return s._replace(
        pools=tuple(pool(k, p) for k, p in enumerate(s.pools)),
        conns=tuple(c and conn(c) for c in s.conns),
        procs=tuple(p and proc(p) for p in s.procs),
        net=frozenset(Message(m.kind, conn(m.conn), m.arg) for m in s.net),
    )
