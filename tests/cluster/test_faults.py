"""Crashes, lost replies, a Makini that is down, namespaces that go away: nothing is lost, doubled or stuck."""

import json
import random
import threading
from collections.abc import Callable

import pytest
from tests.cluster.fixtures_operator import World, condition
from tests.harness import Rig, Sandbox
from tests.localkube import objects
from tests.localkube.waiting import wait_until

OPENING = {"method": "POST", "path": "^/api/system/connections$"}
CLOSING = {"method": "DELETE", "path": "^/api/system/connections/"}


@pytest.mark.parametrize("kind", ["drop-after", "drop-before", "gateway", "status"])
def test_an_opening_that_fails_or_whose_reply_is_lost_leads_to_exactly_one_connection(world: World, kind: str) -> None:
    world.make_pool()
    world.sandbox.fault(OPENING | {"kind": kind, "status": 503 if kind == "status" else 502})
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    assert len(world.sandbox.all_connections()) == 1


def test_rate_limits_are_obeyed_and_shown(world: World) -> None:
    world.make_pool()
    world.sandbox.fault(OPENING | {"kind": "status", "status": 429, "retry_after": 3})
    world.apply(world.connection("cmms"))
    world.until_reason("cmms", "MakiniRateLimited")
    world.until_ready("cmms")
    assert world.sandbox.requests()["POST /api/system/connections"] == 2


@pytest.mark.parametrize("kind", ["drop-after", "drop-before", "gateway"])
def test_credits_return_only_after_makini_confirms(world: World, kind: str) -> None:
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    world.sandbox.fault(CLOSING | {"kind": kind, "status": 404, "times": 2})
    world.delete("cmms")
    assert world.sandbox.connections() == []
    world.until(lambda: world.held() == 0)


def test_with_makini_down_the_secret_goes_at_once_and_the_rest_is_retried_visibly(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("deleted"), world.connection("switched-off"))
    world.until_ready("deleted", "switched-off")
    world.sandbox.stop()

    world.delete("deleted", wait=False)
    world.patch("switched-off", {"connected": False})

    world.until(lambda: not world.secret_names() & {"deleted-makini", "switched-off-makini"}, 5)
    for name in ("deleted", "switched-off"):
        world.until(lambda name=name: condition(world.get(name), "Ready")["reason"] == "MakiniUnreachable")
        assert "not confirmed by Makini yet" in condition(world.get(name), "Ready")["message"]
        assert world.get(name)["status"]["credits"]["amount"] == 1
    world.until(lambda: world.held() == 2)

    world.sandbox.start()
    world.until_reason("switched-off", "Disconnected", seconds=60)
    world.until(lambda: len(world.all()) == 1, 60)
    world.until(lambda: world.held() == 0)
    assert world.sandbox.connections() == []


def test_an_operator_that_starts_while_makini_is_down_grants_later(
    installed: Rig, sandbox: Sandbox, namespace: str
) -> None:
    sandbox.stop()
    installed.start_operator("--account-relist", "3")
    world = World(installed, sandbox, namespace)
    try:
        world.make_pool()
        world.apply(world.connection("cmms"))
        world.until_reason("cmms", "PoolNotReady")
        world.until(lambda: condition(world.get_pool(), "AccountReachable")["status"] == "False")
        sandbox.start()
        world.until_ready("cmms", seconds=60)
        world.delete("cmms")
        world.kubectl("delete", "cpool", world.pool, "--timeout=60s")
    finally:
        installed.operator.stop()


@pytest.mark.parametrize("how", ["plain", "secrets-first", "makini-down"])
def test_a_namespace_with_connections_can_be_deleted(world: World, how: str) -> None:
    world.make_pool()
    world.apply(*(world.connection(f"c{i}") for i in range(4)))
    world.until_ready("c0", "c1", "c2", "c3")
    if how == "secrets-first":
        world.kubectl("delete", "secret", "--all", "-n", world.namespace, "--wait=false")
    if how == "makini-down":
        world.sandbox.stop()
    world.kubectl("delete", "namespace", world.namespace, "--wait=false")
    if how == "makini-down":
        world.until(lambda: world.secret_names() == set())
        world.sandbox.start()
    world.until(lambda: not objects.exists(world.rig.cluster, "ns", world.namespace), 90)
    assert world.sandbox.connections() == []
    world.until(lambda: world.held() == 0)


def test_kill_9_at_any_moment_while_connections_come_and_go(world: World) -> None:
    """The operator is killed again and again; after the last restart everything is as the specs say."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    dice = random.Random(seed)  # noqa: S311 - a replayable choice of moments
    world.make_pool(12)
    names = [f"c{i:02}" for i in range(16)]
    world.apply(*(world.connection(name) for name in names))
    over: list[int] = []
    with _watching(lambda: over.append(world.held()) if world.held() > 12 else None):
        for _ in range(7):
            _after_writes(world, dice.randrange(1, 25))
            world.rig.operator.kill()
            _disturb(world, dice, names)
            world.rig.start_operator("--account-relist", "3")
        world.until(lambda: _is_at_rest(world), 90)
    assert over == []
    world.sandbox.process.kill()
    world.sandbox.start()
    assert _is_at_rest(world)


def _disturb(world: World, dice: random.Random, names: list[str]) -> None:
    name = dice.choice(names)
    match dice.randrange(4):
        case 0:
            world.kubectl("delete", "mconn", name, "-n", world.namespace, "--wait=false", "--ignore-not-found")
        case 1:
            body = json.dumps({"spec": {"connected": dice.random() < 0.5}})
            world.kubectl("patch", "mconn", name, "-n", world.namespace, "--type=merge", "-p", body, check=False)
        case 2:
            world.kubectl("apply", "-f", "-", input=json.dumps(world.connection(name)), check=False)
        case _:
            world.sandbox.fault(OPENING | {"kind": "drop-after"}, CLOSING | {"kind": "drop-after"})


def _is_at_rest(world: World) -> bool:
    """Every wish is fulfilled or waits for credits that are not there; each connection at Makini has one owner."""
    objects = world.all()
    pool = world.get_pool()["status"]
    claims = {o["status"]["connectionID"]: o["status"]["credits"]["amount"] for o in objects if _is_active(o)}
    remote = [row["key"] for row in world.sandbox.connections()]
    assert sorted(claims) == sorted(remote), (claims, remote)
    assert pool["credits"]["held"] == sum(claims.values()) <= 12
    wanting = [o for o in objects if o["spec"].get("connected", True) and not _is_active(o)]
    assert not wanting or pool["credits"]["available"] == 0, [o["metadata"]["name"] for o in wanting]
    assert all(o["status"].get("phase") in ("Active", "Waiting", "Disconnected") for o in objects)
    for o in objects:
        assert (f"{o['metadata']['name']}-makini" in world.secret_names()) == _is_active(o)
    return True


def _is_active(obj: dict[str, dict[str, object]]) -> bool:
    return obj["status"].get("phase") == "Active"


def _after_writes(world: World, count: int) -> None:
    """Wait until the sandbox has been called this many times more, or nothing happens any more."""
    start = sum(world.sandbox.requests().values())
    try:
        wait_until(lambda: sum(world.sandbox.requests().values()) >= start + count, 4, "calls to Makini")
    except AssertionError:
        return


class _watching:  # noqa: N801 - reads as a statement
    """Looks again and again, in a thread, while the block runs."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look, self._over, self._done = look, threading.Event(), threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._done.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._done.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            try:
                self._look()
            except (KeyError, AssertionError):
                continue
