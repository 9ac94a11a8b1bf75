"""Two operators, and connections and a pool that change at random, while operators are killed, stopped and paused.

MAKINI_CHURN_SECONDS says how long, MAKINI_CHURN_SEED which choices are made.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.at_rest import Look, is_at_rest
from tests.cluster.fixtures_operator import World
from tests.harness import OPERATOR_NAMESPACE, Rig, Sandbox
from tests.harness.history import History
from tests.harness.process import Process

SECONDS = float(os.environ.get("MAKINI_CHURN_SECONDS", "40"))
SEED = int(os.environ.get("MAKINI_CHURN_SEED", "20"))
ARGUMENTS = ("--account-relist", "2", "--lease-duration", "3")
NAMES = [f"c{number}" for number in range(10)]
SYSTEMS = ("fiix", "fiix", "netsuite", "sap-s4hana")
"""1, 1, 2 and 4 credits."""
LIMITS = (4, 6, 8, 12)
LARGEST = 4
"""No limit is below it, so that nothing can be too large for the pool for ever."""
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/makini-operator"


class Churn:
    """The choices, and who lives."""

    def __init__(self, world: World, second: Process) -> None:
        self.world, self.dice = world, random.Random(SEED)  # noqa: S311 - choices that can be made again
        self.operators = {world.rig.identity: world.rig.operator, "second": second}
        self.done: Counter[str] = Counter()
        self.paused: Process | None = None
        self.leaders: list[str] = []

    def step(self) -> None:
        """One change, and whoever has ended is started again, as Kubernetes would."""
        steps = {"create": 6, "delete": 3, "toggle": 4, "resize": 2, "kill": 2, "stop": 1, "pause": 1, "lose": 2}
        (name,) = self.dice.choices(list(steps), list(steps.values()))
        self.done[name] += 1
        getattr(self, f"_{name}")()
        self.wake_up_after_a_takeover()
        self.keep_alive()

    def keep_alive(self) -> None:
        for operator in self.operators.values():
            if not operator.is_running:
                operator.start()

    def undisturbed(self) -> None:
        """Nobody is paused any more, and no call is lost."""
        self.wake_up_after_a_takeover(at_once=True)
        self.world.sandbox.heal()

    def wake_up_after_a_takeover(self, *, at_once: bool = False) -> None:
        """A paused leader goes on, not knowing that another has led meanwhile."""
        holder = self._holder()
        if holder and holder != (self.leaders or [""])[-1]:
            self.leaders.append(holder)
        if self.paused and (at_once or self.operators.get(holder) not in (None, self.paused)):
            if self.paused.is_running:
                os.kill(self.paused.pid, signal.SIGCONT)
            self.paused = None

    def _holder(self) -> str:
        status, text = self.world.rig.cluster.request("GET", LEASE)
        assert status == 200, text
        return str(json.loads(text)["spec"].get("holderIdentity") or "").partition("/")[0]

    def _create(self) -> None:
        name = self.dice.choice(NAMES)
        manifest = self.world.connection(name, self.dice.choice(SYSTEMS), priority=self.dice.randrange(3))
        if name not in Look(self.world).connections:
            self.world.apply(manifest)

    def _delete(self) -> None:
        name = self.dice.choice(NAMES)
        self.world.kubectl("delete", "mconn", name, "-n", self.world.namespace, "--wait=false", "--ignore-not-found")

    def _toggle(self) -> None:
        self._patch("mconn", self.dice.choice(NAMES), {"connected": self.dice.random() < 0.6})

    def _resize(self) -> None:
        self._patch("cpool", self.world.pool, {"credits": self.dice.choice(LIMITS)})

    def _patch(self, kind: str, name: str, spec: dict[str, object]) -> None:
        where = ("-n", self.world.namespace) if kind == "mconn" else ()
        body = json.dumps({"spec": spec})
        self.world.kubectl("patch", kind, name, *where, "--type=merge", "-p", body, check=False)

    def _lose(self) -> None:
        for method in ("POST", "DELETE"):
            self.world.sandbox.fault({"method": method, "path": "^/api/system/connections", "kind": "drop-after"})

    def _leader(self) -> Process:
        return self.operators.get(self._holder()) or self.world.rig.operator

    def _kill(self) -> None:
        self._unless_paused(self._leader(), Process.kill)

    def _stop(self) -> None:
        self._unless_paused(self._leader(), Process.stop)

    def _pause(self) -> None:
        if self.paused is None and self._leader().is_running:
            self.paused = self._leader()
            os.kill(self.paused.pid, signal.SIGSTOP)

    def _unless_paused(self, operator: Process, end: Callable[[Process], object]) -> None:
        if operator is not self.paused:
            end(operator)


@contextmanager
def two_operators(rig: Rig) -> Iterator[Process]:
    """One leads, one stands by."""
    rig.start_operator(*ARGUMENTS)
    second = rig.another_operator("second", *ARGUMENTS)
    second.start()
    try:
        yield second
    finally:
        for operator in (rig.operator, second):
            operator.kill()


def test_random_changes_and_deaths_never_grant_too_much_and_everything_comes_to_rest(
    installed: Rig, sandbox: Sandbox, namespace: str, tmp_path: Path
) -> None:
    world = World(installed, sandbox, namespace)
    with History(installed.cluster, tmp_path) as history, two_operators(installed) as second:
        world.make_pool(8)
        churn = Churn(world, second)
        try:
            ends_at = time.monotonic() + SECONDS
            while time.monotonic() < ends_at:
                churn.step()
            churn.undisturbed()
            world.until(lambda: _settled(churn), 90)
            print(f"seed {SEED}: {dict(churn.done)}, {len(churn.leaders)} leaders, {history.versions()} versions")  # noqa: T201
            assert history.violations({world.pool}) == []
            assert len(churn.leaders) > 1, "nobody ever took over"
        finally:  # what stays behind would be in the way of other tests
            churn.undisturbed()
            world.kubectl("delete", "mconn", "--all", "-n", namespace, "--wait=false")
            world.kubectl("delete", "cpool", world.pool, "--wait=false")
            world.until(lambda: churn.keep_alive() or Look(world).pool is None, 60)
        assert Look(world).connections == {}
        assert sandbox.connections() == []
        assert history.violations({world.pool}) == []


def _settled(churn: Churn) -> bool:
    churn.keep_alive()
    try:
        return is_at_rest(churn.world)
    except (KeyError, TypeError) as error:
        raise AssertionError(f"not there yet: {error!r}") from error
