"""Looks at every state that can be reached, the nearest first, and from each one waits for rest.

Breadth first, so the trace of the first violation is a shortest one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.model.canonical import canonical
from tests.model.granting import audits, commits, decides
from tests.model.invariants import broken, not_at_rest
from tests.model.leading import sees_pool, starts, takes_over
from tests.model.listing import lists
from tests.model.moves import Step, opened, start
from tests.model.people import disturbs
from tests.model.rules import FAULTS, GOOD, Rules, Scenario
from tests.model.state import LEAD, Conn, Pool, Proc, Row, State
from tests.model.working import acts, looks

ENOUGH = 200
"""Steps in which a process alone must have come to rest."""


@dataclass(frozen=True)
class Result:
    """What an exploration found. `violation` is empty when every promise held."""

    violation: str
    trace: tuple[str, ...]
    states: int
    transitions: int
    is_complete: bool
    seconds: float
    most_alive_too_many: int
    most_duplicates: int


@dataclass
class Checker:
    """One exploration of one set of rules in one scenario."""

    scenario: Scenario
    rules: Rules = GOOD
    progress: Callable[[int, float], None] = lambda _, __: None
    _rest: dict[State, str] = field(default_factory=dict)

    def run(self, *, most_states: int = 1_000_000, rest: bool = True) -> Result:
        """Explore until nothing new is found, a promise is broken, or the bound is reached."""
        begun = time.monotonic()
        parents: dict[State, tuple[State, str] | None] = {self.first(): None}
        queue = deque([self._after_prologue(parents)])
        count = too_many = duplicates = 0

        def result(violation: str, state: State | None = None, *labels: str, complete: bool = False) -> Result:
            trace = (*_trace(parents, state), *labels) if state else ()
            seconds = time.monotonic() - begun
            return Result(violation, trace, len(parents), count, complete, seconds, too_many, duplicates)

        while queue and len(parents) < most_states:
            state = queue.popleft()
            for p in range(len(state.procs) if rest else 0):
                wrong = self.wrong_at_rest(state, p)
                if wrong:
                    return result(wrong, state, f"then everything is calm, and only P{p} goes on")
            for step in self.steps(state):
                count += 1
                if step.violation:
                    return result(step.violation, state, step.label)
                following = canonical(step.state)
                if following in parents:
                    continue
                parents[following] = (state, step.label)
                wrong = broken(following, self.scenario)
                if wrong:
                    return result(wrong, following)
                too_many, duplicates = _worst(following, self.scenario, too_many, duplicates)
                queue.append(following)
                if len(parents) % 20_000 == 0:
                    self.progress(len(parents), time.monotonic() - begun)
        return result("", complete=not queue)

    def first(self) -> State:
        """One process leads everything; some connections are open."""
        scenario = self.scenario
        conns, alive, rid = [], set(), 0
        held = [0] * len(scenario.limits)
        for i, k in enumerate(scenario.pool_of):
            conn = Conn(0, i, k, want=i not in scenario.unwanted, finalizer=scenario.finalizer or i in scenario.open)
            if i in scenario.open:
                rid += 1
                alive.add(Row(rid, i, scenario.accounts[k]))
                conn = conn._replace(claim=k + 1, cid=rid)
                held[k] += scenario.weights[i]
            conns.append(conn)
        pools = tuple(Pool(0, limit, 1, held[k]) for k, limit in enumerate(scenario.limits))
        leader = start(len(pools), max(scenario.accounts) + 1, len(conns))
        everything = frozenset(range(len(pools)))
        leader = leader._replace(phases=(LEAD,) * len(pools), pools=pools, cache=tuple(conns), trusted=everything)
        for row in alive:
            leader = opened(leader, row)
        budget = tuple(scenario.faults.get(fault, 0) for fault in FAULTS)
        procs: tuple[Proc | None, ...] = (leader, None)
        return State(pools, tuple(conns), frozenset(alive), procs, frozenset(), budget)

    def _after_prologue(self, parents: dict[State, tuple[State, str] | None]) -> State:
        """Where the exploration begins, with the way there in `parents`."""
        state = next(iter(parents))
        for who, what in self.scenario.prologue:
            label = ""
            while what not in label:
                found = (x for x in disturbs(state, self.rules, self.scenario) if what in x.label)
                step = next(found) if who < 0 else self._next_of(state, who, what)
                label, following = step.label, canonical(step.state)
                parents.setdefault(following, (state, label))
                state = following
        return state

    def _next_of(self, state: State, p: int, what: str) -> Step:
        steps = list(self.steps_of(state, p, is_calm=True))
        return next((x for x in steps if what in x.label), None) or min(steps, key=lambda x: x.rank)

    def steps(self, s: State) -> Iterator[Step]:
        """Everything that may happen next."""
        for p in range(len(s.procs)):
            yield from self.steps_of(s, p)
        yield from disturbs(s, self.rules, self.scenario)

    def steps_of(self, s: State, p: int, *, is_calm: bool = False) -> Iterator[Step]:
        """What process `p` may do next; when all is calm nothing goes wrong."""
        rules, scenario = self.rules, self.scenario
        if s.procs[p] is None:
            yield from starts(s, p, rules, scenario, is_calm=is_calm)
            return
        for k in range(len(s.pools)):
            yield from takes_over(s, p, k, rules, is_calm=is_calm)
            yield from sees_pool(s, p, k, rules)
            yield from commits(s, p, k, rules, scenario, is_calm=is_calm)
            yield from decides(s, p, k, rules, scenario)
        for i in range(len(s.conns)):
            yield from looks(s, p, i, rules, scenario)
            yield from acts(s, p, i, rules, scenario, is_calm=is_calm)
        for a in range(max(scenario.accounts) + 1):
            yield from lists(s, p, a, rules, scenario)
        if not is_calm:
            yield from audits(s, p, rules, scenario)

    def wrong_at_rest(self, s: State, p: int) -> str:
        """Process `p` goes on alone, undisturbed, by a fixed fair order: what is wrong when it has come to rest."""
        others = tuple(proc if q == p else None for q, proc in enumerate(s.procs))
        s = canonical(s._replace(procs=others, net=frozenset(), budget=(0,) * len(FAULTS)))
        path: dict[State, None] = {}
        wrong = "it never comes to rest"
        for _ in range(ENOUGH):
            if s in self._rest:
                wrong = self._rest[s]
                break
            if s in path:
                break
            path[s] = None
            step = min(self.steps_of(s, p, is_calm=True), key=lambda x: x.rank, default=None)
            if step is None:
                wrong = not_at_rest(s, p, self.scenario)
                break
            s = canonical(step.state)
            wrong_now = step.violation or broken(s, self.scenario)
            if wrong_now:
                wrong = wrong_now
                break
        self._rest.update(dict.fromkeys(path, wrong))
        return wrong


def _worst(s: State, scenario: Scenario, too_many: int, duplicates: int) -> tuple[int, int]:
    alive = [row.uid for row in s.alive]
    billed = sum(scenario.weights[uid % len(s.conns)] for uid in alive)
    return max(too_many, billed - sum(scenario.limits)), max(duplicates, len(alive) - len(set(alive)))


def _trace(parents: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    labels = []
    while (before := parents[state]) is not None:
        state, label = before
        labels.append(label)
    return tuple(reversed(labels))
