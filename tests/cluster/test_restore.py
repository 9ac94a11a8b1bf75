"""A cluster rebuilt from a backup: nothing happens before an admin has said so, and then everything is found again."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.cluster.fixtures_operator import Manifest, World
from tests.harness import Rig, Sandbox
from tests.harness.rig import OPERATOR_NAMESPACE

INSTALLATION = ("secret", "makini-installation", "-n", OPERATOR_NAMESPACE)
OPENING, CLOSING = "POST /api/system/connections", "DELETE /api/system/connections/"


@pytest.fixture
def rig(installed: Rig) -> Iterator[Rig]:
    yield installed
    installed.operator.kill()


def start(rig: Rig) -> None:
    rig.start_operator("--account-relist", "2")


def installation(rig: Rig, *arguments: str) -> str:
    """`makini-operator installation …`, as an admin."""
    command = [sys.executable, "-m", "makini_operator", "installation", *arguments, "--namespace", OPERATOR_NAMESPACE]
    environment = os.environ | {"KUBECONFIG": str(rig.cluster.kubeconfig)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def move_to_another_cluster(rig: Rig) -> None:
    """What a restore elsewhere amounts to: the Secret names a cluster that is not this one."""
    elsewhere = base64.b64encode(b"uid-of-a-cluster-that-burned-down").decode()
    rig.cluster.kubectl("patch", *INSTALLATION, "--type=merge", "-p", json.dumps({"data": {"cluster": elsewhere}}))


def wipe_status(world: World, *names: str) -> None:
    empty = [{"op": "replace", "path": "/status", "value": {"observedGeneration": -1}}]
    for name in names:
        kind = ("mconn", name, "-n", world.namespace) if name != world.pool else ("cpool", name)
        world.kubectl("patch", *kind, "--subresource=status", "--type=json", "-p", json.dumps(empty))


def ids(world: World, *names: str) -> list[str]:
    return [world.get(name)["status"].get("connectionID", "") for name in names]


def calls(sandbox: Sandbox) -> tuple[int, int]:
    counted = sandbox.requests()
    closed = sum(number for call, number in counted.items() if call.startswith(CLOSING))
    return counted.get(OPENING, 0), closed


def until_elsewhere(world: World, *names: str) -> None:
    for name in names:
        world.until_reason(name, "InstallationElsewhere")


def test_with_every_status_wiped_nothing_happens_before_the_confirmation_and_all_is_found_after_it(
    rig: Rig, world: World
) -> None:
    start(rig)
    world.make_pool(credits=2)
    world.apply(world.connection("one"), world.connection("two"))
    world.until_ready("one", "two")
    world.apply(world.connection("waits"))
    world.until_reason("waits", "WaitingForCredits")
    before, tokens = ids(world, "one", "two"), [world.secret(f"{n}-makini")["token"] for n in ("one", "two")]
    rig.operator.stop()
    wipe_status(world, "one", "two", "waits", world.pool)
    move_to_another_cluster(rig)
    made = calls(world.sandbox)

    start(rig)
    world.apply(world.connection("new"))
    world.delete("two", wait=False)
    until_elsewhere(world, "one", "two", "waits", "new")
    assert calls(world.sandbox) == made
    assert not any("credits" in o["status"] for o in world.all())
    assert "waits for `makini-operator installation confirm`" in installation(rig, "show")

    assert "Confirmed" in installation(rig, "confirm", "--yes")
    world.until_ready("one")
    assert ids(world, "one") == before[:1]
    assert world.secret("one-makini")["token"] == tokens[0]
    world.until(lambda: before[1] not in {c["key"] for c in world.sandbox.connections()})
    world.until(lambda: len(world.sandbox.connections()) == world.held() == 2)
    assert "restoring" in installation(rig, "show")
    assert "Finished" in installation(rig, "finish", "--yes")
    assert "nothing to finish" in installation(rig, "finish", "--yes")
    assert "nothing to confirm" in installation(rig, "confirm", "--yes")


def test_resources_that_come_back_with_new_uids_adopt_their_connections_and_orphans_wait_for_the_end(
    rig: Rig, world: World
) -> None:
    start(rig)
    world.make_pool(credits=3)
    names = ("one", "two", "late")
    manifests: list[Manifest] = [world.connection(name) for name in names]
    world.apply(*manifests)
    world.until_ready(*names)
    before = ids(world, *names)
    rig.operator.kill()
    free = json.dumps({"metadata": {"finalizers": None}})
    for name in names:
        world.kubectl("patch", "mconn", name, "-n", world.namespace, "--type=merge", "-p", free)
        world.delete(name)
    world.kubectl("patch", "cpool", world.pool, "--type=merge", "-p", free)
    world.kubectl("delete", "cpool", world.pool)
    world.kubectl(
        "delete", "secret", *(f"{name}-makini" for name in names), "-n", world.namespace, "--ignore-not-found"
    )
    move_to_another_cluster(rig)
    made = calls(world.sandbox)

    world.make_pool(credits=3)
    world.apply(*manifests[:2], world.connection("another"))
    start(rig)
    until_elsewhere(world, "one", "two")
    installation(rig, "confirm", "--yes")
    world.until_ready("one", "two")
    assert ids(world, "one", "two") == before[:2]
    world.until_reason("another", "WaitingForCredits")
    world.until(lambda: world.held() == 3)
    assert calls(world.sandbox) == made
    assert world.sandbox.accepts(world.secret("one-makini")["token"])

    world.delete("one")
    assert before[0] not in {c["key"] for c in world.sandbox.connections()}
    world.until_ready("another")
    rig.operator.kill()
    start(rig)
    world.until(lambda: "account listed" in rig.operator.text())
    assert before[2] in {c["key"] for c in world.sandbox.connections()}
    installation(rig, "finish", "--yes")
    world.until(lambda: before[2] not in {c["key"] for c in world.sandbox.connections()})
    world.until(lambda: world.held() == 2)
    world.until_ready("two", "another")
    assert ids(world, "two") == before[1:2]
