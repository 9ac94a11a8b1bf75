"""A rotation and a revocation, with the operator killed right after one of their writes to Kubernetes or to Makini.

All of them with MAKINI_FAULTS_ALL=1; else a sample at a fixed stride. Which write is the k-th differs a little.
"""

import os
from typing import Any

import pytest
from tests.cluster.fixtures_operator import condition
from tests.cluster.proxied import ProxiedWorld, proxied
from tests.cluster.tokens import REVOKE, ROTATE, ask, workload
from tests.harness import Rig, Sandbox

ALL = os.environ.get("MAKINI_FAULTS_ALL") == "1"
STRIDE = {ROTATE: 2, REVOKE: 4}


@pytest.mark.parametrize("what", [ROTATE, REVOKE], ids=["rotation", "revocation"])
def test_whoever_starts_again_goes_on_where_the_other_was_killed(
    installed: Rig, sandbox: Sandbox, namespace: str, what: str
) -> None:
    with proxied(installed, sandbox, namespace) as world:
        world.make_pool(20)
        for kind in ("Deployment", "StatefulSet"):
            world.apply(workload(kind, "app", namespace))
        total = len(_undisturbed(world, what))
        assert total > 5
        struck = []
        for number in range(1, total + 1, 1 if ALL else STRIDE[what]):
            struck += _struck(world, f"c{number}", what, number)
        assert len(struck) >= (total // STRIDE[what]) - 2, struck  # Events at the end may be left out
        world.kube.writes.on_write = lambda *_: False
        world.kubectl("delete", "mconn", "--all", "-n", namespace, "--wait=false")
        world.until(lambda: world.all() == [])
        assert sandbox.connections() == []
        world.kubectl("delete", "cpool", world.pool, "--timeout=60s")


def _undisturbed(world: ProxiedWorld, what: str) -> list[str]:
    _connect(world, "quiet")
    world.kube.writes.seen.clear()
    _live(world, "quiet", what)
    return list(world.kube.writes.seen)


def _struck(world: ProxiedWorld, name: str, what: str, number: int) -> list[str]:
    """The same, killed after its `number`-th write; returns what that was, if it came to it."""
    _connect(world, name)
    struck: list[str] = []

    def strike(count: int, write: str) -> bool:
        if count != number:
            return False
        struck.append(f"{number}: {write}")
        world.kill_operator()
        return True

    world.kube.writes.seen.clear()
    world.kube.writes.on_write = strike
    try:
        _live(world, name, what)
    except AssertionError as error:
        raise AssertionError(f"killed after {struck or number}, in {world.kube.writes.seen}: {error}") from error
    finally:
        world.kube.writes.on_write = lambda *_: False
    return struck


def _connect(world: ProxiedWorld, name: str) -> None:
    token: dict[str, Any] = {
        "readers": [{"serviceAccountName": "erp"}],
        "rolloutRestart": [{"kind": kind, "name": "app"} for kind in ("Deployment", "StatefulSet")],
    }
    world.apply(world.connection(name, token=token))
    world.until(lambda: condition(world.get(name), "Ready")["status"] == "True")


def _live(world: ProxiedWorld, name: str, what: str) -> None:
    before = world.get(name)["status"]
    old = world.secret(f"{name}-makini")["token"]
    ask(world, what, name)
    world.until(lambda: _is_over(world, name, what, before))
    after, published = world.get(name)["status"], world.secret(f"{name}-makini")
    assert after["credits"] == before["credits"]
    assert published["token"] != old
    assert world.sandbox.accepts(published["token"])
    assert world.sandbox.accepts(old) is (what == ROTATE)
    assert published.get("previous-token") == (old if what == ROTATE else None)
    owned = [row for row in world.sandbox.connections() if row["key"] == after["connectionID"]]
    assert len(owned) == 1
    assert len(world.sandbox.connections()) == len(world.all())


def _is_over(world: ProxiedWorld, name: str, what: str, before: dict[str, Any]) -> bool:
    obj = world.get(name)
    status = obj["status"]
    is_ready = condition(obj, "Ready")["status"] == "True" and "revocation" not in status
    if what == REVOKE:
        is_other = status["connectionID"] != before["connectionID"]
        return bool(is_ready and is_other and "rotation" not in status["token"] and _is_restarted(world, name, status))
    is_tried = status["token"].get("rotation", {}).get("previous") == "Works"
    return bool(is_ready and is_tried and status["token"]["attempt"] == 1 and _is_restarted(world, name, status))


def _is_restarted(world: ProxiedWorld, name: str, status: dict[str, Any]) -> bool:
    wanted = f"{status['connectionID']}/{status['token'].get('attempt', 0)} "
    for kind in ("deployment", "statefulset"):
        found = world.rig.get(kind, "app", "-n", world.namespace)
        notes = found["spec"]["template"]["metadata"].get("annotations") or {}
        if not notes.get(f"restarted.makini.io/{name}", "").startswith(wanted):
            return False
    return True
