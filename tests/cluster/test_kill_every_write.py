"""One whole life of a connection, interrupted after each of its writes to Kubernetes and to Makini.

All of them with MAKINI_FAULTS_ALL=1; else a sample at a fixed stride, so that a run stays short. Which write is the
k-th differs a little from life to life, for several things go on at once: each message says which one it was.
"""

import os
import time
from pathlib import Path

import pytest
from tests.cluster.at_rest import Look, is_at_rest
from tests.cluster.fixtures_operator import condition
from tests.cluster.proxied import ProxiedWorld, proxied
from tests.harness import Rig, Sandbox
from tests.harness.history import History

ALL = os.environ.get("MAKINI_FAULTS_ALL") == "1"
SAMPLES = {"killed": (1, 6), "reply-lost": (3, 8)}
"""The first write that is struck, and the stride."""
NEAR_THE_END = 2
"""The last writes are those of the deletion; some lives end without all of them, the Events for example."""


@pytest.mark.parametrize("how", ["killed", "reply-lost"])
def test_a_life_ends_well_whatever_happens_right_after_any_of_its_writes(
    installed: Rig, sandbox: Sandbox, namespace: str, tmp_path: Path, how: str
) -> None:
    with History(installed.cluster, tmp_path) as history, proxied(installed, sandbox, namespace) as first:
        _live(first, "warm-up")  # what earlier tests have left is not this life's
        first.kube.writes.seen.clear()
        _live(first.another(), "undisturbed")
        total = len(first.kube.writes.seen)
        assert total > 15, first.kube.writes.seen
        pools, struck = {first.pool}, []
        begin, stride = (1, 1) if ALL else SAMPLES[how]
        for number in range(begin, total + 1, stride):
            world = first.another()
            pools.add(world.pool)
            struck += _live_and_be_struck(world, number, how)
        print(f"{how}: {total} writes; struck: {struck}")  # noqa: T201 - shown when the test fails, and with -s
        assert len(struck) >= len(pools) - 1 - NEAR_THE_END
        assert history.violations(pools) == []
        assert len(sandbox.all_connections()) >= 2 * len(pools)


def _live_and_be_struck(world: ProxiedWorld, number: int, how: str) -> list[str]:
    """One life whose `number`-th write takes effect and has no answer; returns what was written, if it came to it."""
    struck: list[str] = []
    writes = world.kube.writes

    def strike(count: int, what: str) -> bool:
        if count != number:
            return False
        struck.append(f"{number}: {what}")
        if how == "killed":
            world.kill_operator()
        return True

    writes.seen.clear()
    writes.on_write = strike
    started = time.monotonic()
    try:
        _live(world, f"c{number}")
    except AssertionError as error:
        raise AssertionError(f"{how} after write {struck or number}, in {writes.seen}: {error}") from error
    print(f"{time.monotonic() - started:.1f} s, {world.starts} starts, {struck}")  # noqa: T201 - as above
    return struck


def _live(world: ProxiedWorld, name: str) -> None:
    """Up, down, up again, and away, each to its end; the pool has credits for exactly this connection."""
    world.make_pool(1)
    world.apply(world.connection(name, workflows=[_workflow()]))
    _until_at_rest(world, name, "Connected")
    world.patch(name, {"connected": False})
    _until_at_rest(world, name, "Disconnected")
    world.patch(name, {"connected": True})
    _until_at_rest(world, name, "Connected")
    world.delete(name, wait=False)
    world.until(lambda: Look(world).connections == {} and is_at_rest(world))
    assert f"{name}-makini" not in Look(world).secrets
    world.kubectl("delete", "cpool", world.pool, "--wait=false")
    world.until(lambda: Look(world).pool is None)


def _until_at_rest(world: ProxiedWorld, name: str, reason: str) -> None:
    def is_there() -> bool:
        obj = Look(world).connections[name]
        return condition(obj, "Ready")["reason"] == reason and is_at_rest(world)

    world.until(is_there)


def _workflow() -> dict[str, object]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "reorder:1"}]}
    return {"name": "orders", "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
