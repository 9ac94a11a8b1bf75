"""What the edge does to an operator: refusals, faults, lost replies and broken watches, while connections come and go.

Six connections want a pool for four, so that every mistake in counting would show. Each fault is seen to have happened.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cluster.at_rest import Look, is_at_rest
from tests.cluster.proxied import ProxiedWorld, proxied
from tests.harness import Rig, Sandbox
from tests.harness.api_proxy import ApiProxy, Fault
from tests.harness.history import History

LIMIT = 4
NAMES = [f"c{number}" for number in range(6)]
WATCHED = 5
"""Kinds that the operator watches."""
LONGER_THAN_PATIENCE = 17.0
"""Seconds; a request to Makini is given up after 15."""
KUBE_WRITES = (r"pools/[^/]+/status$", r"makiniconnections/[^/]+$", r"makiniconnections/[^/]+/status$", r"/secrets")
KUBE_READS = (r"/creditpools/", r"/makiniconnections", r"/secrets")
MAKINI_WRITES = (r"/connections$", r"/connections/[^/]+$", r"/metadata$", r"/token$")


def on(paths: tuple[str, ...], name: str, *, times: int = 2, **how: object) -> list[Fault]:
    """This fault, `times` for each of these paths."""
    return [Fault(name=name, path=path, times=times, **how) for path in paths]


KUBE = {
    "conflict": on(KUBE_WRITES, "409", status=409),
    "too-many-requests": on(KUBE_WRITES, "429", status=429, retry_after=1),
    "server-error": on(KUBE_WRITES, "500", status=500),
    "server-error-after-the-effect": on(KUBE_WRITES, "500", status=500, after=True),
    "time-out-after-the-effect": on(KUBE_WRITES, "504", status=504, after=True),
    "connection-lost-before": on(KUBE_WRITES, "lost"),
    "reply-lost": on(KUBE_WRITES, "lost", after=True),
    "reads-fail": on(KUBE_READS, "500", status=500, method="GET"),
}
MAKINI = {
    "too-many-requests": on(MAKINI_WRITES, "429", status=429, retry_after=1, times=1),
    "server-error": on(MAKINI_WRITES, "500", status=500),
    "time-out-after-the-effect": on(MAKINI_WRITES, "504", status=504, after=True),
    "reply-lost": on(MAKINI_WRITES, "lost", after=True),
}


@pytest.mark.parametrize("fault", KUBE)
def test_faults_of_kubernetes_lead_to_nothing_lost_nothing_doubled_and_nothing_stuck(
    installed: Rig, sandbox: Sandbox, namespace: str, tmp_path: Path, fault: str
) -> None:
    with History(installed.cluster, tmp_path) as history, proxied(installed, sandbox, namespace) as world:
        _come_and_go(world, world.kube, KUBE[fault])
        assert history.violations({world.pool}) == []


@pytest.mark.parametrize("fault", MAKINI)
def test_faults_of_makini_lead_to_nothing_lost_nothing_doubled_and_nothing_stuck(
    installed: Rig, sandbox: Sandbox, namespace: str, tmp_path: Path, fault: str
) -> None:
    with History(installed.cluster, tmp_path) as history, proxied(installed, sandbox, namespace) as world:
        _come_and_go(world, world.makini, MAKINI[fault])
        assert history.violations({world.pool}) == []


def test_watches_that_break_or_have_expired_miss_nothing(
    installed: Rig, sandbox: Sandbox, namespace: str, tmp_path: Path
) -> None:
    with History(installed.cluster, tmp_path) as history, proxied(installed, sandbox, namespace) as world:
        for expired in (0, 2):
            for step in _steps(world):
                world.kube.inject(*(Fault(name="410", method="GET", watches=True, times=1) for _ in range(expired)))
                world.until(lambda: len(world.kube.watches()) >= WATCHED)
                world.kube.break_watches()
                step()
                world.until(lambda: is_at_rest(world))
            assert world.starts == 0, world.rig.operator.text()[-2000:]
        assert world.kube.injected["410"] > 0
        assert history.violations({world.pool}) == []


def _come_and_go(world: ProxiedWorld, proxy: ApiProxy, faults: list[Fault]) -> None:
    for step in _steps(world):
        proxy.inject(*(Fault(**vars(fault)) for fault in faults))
        step()
        world.until(lambda: is_at_rest(world))
    proxy.heal()
    (name,) = {fault.name for fault in faults}
    assert proxy.injected[name] >= len(faults), proxy.injected


def _steps(world: ProxiedWorld) -> list[Callable[[], None]]:
    def come() -> None:
        if Look(world).pool is None:
            world.make_pool(LIMIT)
        world.apply(*(world.connection(name) for name in NAMES))

    def go() -> None:
        world.delete("c0", wait=False)
        world.patch("c1", {"connected": False})

    def come_back() -> None:
        world.patch("c1", {"connected": True})
        world.delete("c5", wait=False)
        world.apply(world.connection("c0"))

    def all_go() -> None:
        world.kubectl("delete", "mconn", "--all", "-n", world.namespace, "--wait=false")

    return [come, go, come_back, all_go]


def test_an_opening_that_takes_effect_after_its_time_out_is_found_and_ended(
    installed: Rig, sandbox: Sandbox, namespace: str, tmp_path: Path
) -> None:
    """By then another was opened in its place, for there was none: one of the two goes, the other is accounted for."""
    with History(installed.cluster, tmp_path) as history, proxied(installed, sandbox, namespace) as world:
        sandbox.fault(
            {"method": "POST", "path": "^/api/system/connections$", "kind": "latency", "seconds": LONGER_THAN_PATIENCE}
        )
        world.make_pool(LIMIT)
        world.apply(*(world.connection(name) for name in NAMES))
        world.until(lambda: len(sandbox.all_connections()) == LIMIT + 1 and is_at_rest(world), 90)
        assert len(sandbox.connections()) == LIMIT
        assert history.violations({world.pool}) == []
