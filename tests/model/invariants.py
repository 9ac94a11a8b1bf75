"""What must hold in every state, and what must hold at rest."""

from __future__ import annotations

from tests.model.rules import Scenario
from tests.model.state import LEAD, Conn, State


def broken(s: State, scenario: Scenario) -> str:
    """The promise that this state breaks, or nothing."""
    for k, limit in enumerate(scenario.limits):
        if _claimed(s, k, scenario) > limit:
            return f"{_claimed(s, k, scenario)} claimed of {limit} in pool {k}"
    if scenario.namespace_limit is not None:
        for namespace in set(scenario.namespaces):
            mine = [c for c in s.conns if c and scenario.namespaces[c.uid % len(s.conns)] == namespace]
            total = sum(_weight(c, scenario) for c in mine if c.claim and not c.is_free)
            if total > scenario.namespace_limit * len(scenario.limits):
                return f"{total} claimed of {scenario.namespace_limit} in namespace {namespace}"
    return ""


def _claimed(s: State, k: int, scenario: Scenario) -> int:
    """What was granted anew; what was alive at Makini anyway is counted, and may be granted over the limit (rule 5)."""
    return sum(_weight(c, scenario) for c in s.conns if c and c.claim == k + 1 and not c.is_free)


def _weight(conn: Conn, scenario: Scenario) -> int:
    return scenario.weights[conn.uid % len(scenario.weights)]


def not_at_rest(s: State, p: int, scenario: Scenario) -> str:
    """What is wrong when nothing disturbs any more and process `p` has nothing left to do."""
    proc = s.procs[p]
    if proc is None or any(phase != LEAD for phase in proc.phases):
        return "it never leads"
    alive = sorted(row.uid for row in s.alive)
    if len(set(alive)) != len(alive):
        return "two connections of one uid are alive at rest"
    owners = {c.uid: c for c in s.conns if c}
    for row in s.alive:
        owner = owners.get(row.uid)
        if owner is None or owner.cid != row.rid:
            return f"connection {row.rid} of uid {row.uid} is alive at rest, and nobody has recorded it"
    for k, pool in enumerate(s.pools):
        held = sum(_weight(c, scenario) for c in owners.values() if c.claim == k + 1)
        if pool.held != held:
            return f"pool {k} says that {pool.held} is held, but {held} is"
    return next((wrong for c in owners.values() if (wrong := _unfinished(s, c, set(alive), scenario))), "")


def _unfinished(s: State, conn: Conn, alive: set[int], scenario: Scenario) -> str:
    if conn.deleting:
        return f"uid {conn.uid} is never let go"
    if not conn.want or conn.ended:
        return f"uid {conn.uid} keeps its credits" if conn.claim else ""
    if conn.claim:
        return "" if conn.uid in alive else f"uid {conn.uid} has credits and no connection"
    room = s.pools[conn.pool].limit - s.pools[conn.pool].held
    if scenario.namespace_limit is not None:
        namespace = scenario.namespaces[conn.uid % len(s.conns)]
        mine = (c for c in s.conns if c and c.claim == conn.pool + 1)
        used = sum(_weight(c, scenario) for c in mine if scenario.namespaces[c.uid % len(s.conns)] == namespace)
        room = min(room, scenario.namespace_limit - used)
    return f"uid {conn.uid} waits although it fits" if _weight(conn, scenario) <= room else ""
