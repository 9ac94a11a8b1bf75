"""Several operators: one works, the others stand by, and whoever takes over does so without granting too much."""

import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml
from tests.cluster.fixtures_operator import World, tidy
from tests.harness import Rig, Sandbox
from tests.harness.process import Process
from tests.harness.rig import CHART_FILES, OPERATOR_NAMESPACE, RBAC, SERVICE_ACCOUNT
from tests.localkube.ports import free_port

LEASE = ("lease", "makini-operator", "-n", OPERATOR_NAMESPACE)
AFTER_A_CLEAN_STOP = 5.0
SHORT = 4.0
"""Seconds of the lease in tests that wait for its end."""


@pytest.fixture
def rig(installed: Rig) -> Iterator[Rig]:
    yield installed
    installed.operator.kill()


@pytest.fixture
def world(rig: Rig, sandbox: Sandbox, namespace: str) -> Iterator[World]:
    """As usual; whoever led is gone in the end, and somebody has to tidy up."""
    made = World(rig, sandbox, namespace)
    yield made
    if not rig.operator.is_running:
        rig.start_operator("--no-leader-elect", "--account-relist", "2")
    tidy(made)


@contextmanager
def standing_by(rig: Rig, world: World, *arguments: str) -> Iterator[Process]:
    """A second operator that waits for the Lease."""
    second = rig.another_operator("second", *arguments)
    said = len(second.text())
    second.start()
    try:
        world.until(lambda: "standing by: rig" in second.text()[said:], 20)
        yield second
    finally:
        second.kill()


def holder(rig: Rig) -> str:
    found: str = rig.get(*LEASE)["spec"].get("holderIdentity", "")
    return found.partition("/")[0]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - our own pages
        return str(reply.read().decode())


def test_a_standby_is_healthy_writes_nothing_and_takes_over_soon_after_a_clean_stop(rig: Rig, world: World) -> None:
    rig.start_operator()
    world.make_pool(credits=4)
    world.apply(world.connection("first"))
    world.until_ready("first")
    health, metrics = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with standing_by(rig, world, "--health", health, "--metrics", metrics):
        assert get(f"http://{health}/healthz") == "ok\n"
        assert "makini_leader 0.0" in get(f"http://{metrics}/metrics")
        epoch = world.get_pool()["status"]["ledger"]["epoch"]
        rig.operator.stop()
        stopped_at = time.monotonic()
        world.apply(world.connection("second"))
        world.until(lambda: holder(rig) == "second", 20)
        assert time.monotonic() - stopped_at < AFTER_A_CLEAN_STOP
        world.until_ready("first", "second")
        assert "makini_leader 1.0" in get(f"http://{metrics}/metrics")
        assert world.get_pool()["status"]["ledger"]["epoch"] == epoch + 1
    world.until(lambda: world.held() == 2)


def test_a_standby_takes_over_from_one_that_was_killed_when_the_lease_has_run_out(rig: Rig, world: World) -> None:
    rig.start_operator("--lease-duration", str(SHORT))
    world.make_pool(credits=4)
    with standing_by(rig, world, "--lease-duration", str(SHORT)):
        rig.operator.kill()
        killed_at = time.monotonic()
        world.apply(world.connection("acme"))
        world.until(lambda: holder(rig) == "second", 20)
        assert time.monotonic() - killed_at < SHORT + 2
        world.until_ready("acme")


def test_a_leader_that_was_paused_and_comes_back_changes_nothing_and_ends(rig: Rig, world: World) -> None:
    rig.start_operator("--lease-duration", str(SHORT))
    world.make_pool(credits=2)
    world.apply(world.connection("first"))
    world.until_ready("first")
    with standing_by(rig, world, "--lease-duration", str(SHORT)):
        os.kill(rig.operator.pid, signal.SIGSTOP)
        try:
            world.apply(*(world.connection(f"next-{n}") for n in range(3)))
            world.until(lambda: holder(rig) == "second", 20)
            world.until(lambda: world.held() == 2)
            ledger = world.get_pool()["status"]["ledger"]
        finally:
            said = len(rig.operator.text())
            os.kill(rig.operator.pid, signal.SIGCONT)
        world.until(lambda: not rig.operator.is_running, 20)
        assert "does not hold Lease" in rig.operator.text()[said:] or "was taken" in rig.operator.text()[said:]
        assert world.get_pool()["status"]["ledger"] == ledger
        assert len(world.sandbox.connections()) == 2


def test_a_leader_that_cannot_renew_stops_writing_and_ends(rig: Rig, world: World) -> None:
    rig.start_operator("--lease-duration", str(SHORT))
    world.make_pool(credits=2)
    binding = rig.get("rolebinding", "makini-operator", "-n", OPERATOR_NAMESPACE)
    world.kubectl("delete", "rolebinding", "makini-operator", "-n", OPERATOR_NAMESPACE)
    try:
        world.until(lambda: not rig.operator.is_running, 20)
        assert "could not be renewed" in rig.operator.text()
    finally:
        binding["metadata"] = {"name": "makini-operator", "namespace": OPERATOR_NAMESPACE}
        rig.apply(binding)


@pytest.mark.parametrize("verb", ["get", "create", "update"])
def test_without_a_right_to_the_lease_nobody_leads_and_the_log_says_why(rig: Rig, world: World, verb: str) -> None:
    """The same rows as in test_rbac, for the rights in the operator's own namespace."""
    rules = yaml.safe_load((CHART_FILES / "namespace-rules.yaml").read_text())
    assert [(rule["resources"], rule["verbs"]) for rule in rules] == [(["leases"], ["get", "create", "update"])]
    role = {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": SERVICE_ACCOUNT, "namespace": OPERATOR_NAMESPACE}}
    refusal = f'cannot {verb} resource "leases"'
    rig.start_operator()
    rig.operator.stop()
    if verb == "create":
        world.kubectl("delete", *LEASE)
    rig.apply(role | {"rules": [rules[0] | {"verbs": [v for v in rules[0]["verbs"] if v != verb]}]})
    lacking = rig.another_operator(f"without-{verb}")
    try:
        lacking.start()
        world.until(lambda: refusal in lacking.text(), 20)
        assert "leading as" not in lacking.text()
    finally:
        lacking.kill()
        rig.apply(role | {"rules": rules})


def test_two_processes_that_both_believe_they_lead_never_grant_too_much(rig: Rig, world: World) -> None:
    """Without the Lease each start takes the pool over; the loser ends, is started again, and takes it back."""
    credits_, wanted = 6, 20
    rig.start_operator("--no-leader-elect", "--account-relist", "2")
    world.make_pool(credits=credits_)
    second = rig.another_operator("second", "--no-leader-elect", "--account-relist", "2")
    second.start()
    most: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            claims = sum(o["status"].get("credits", {}).get("amount", 0) for o in world.all())
            books = world.rig.get("cpool", world.pool)["status"].get("credits", {})
            most.append(max(claims, books.get("held", 0)))

    watcher = threading.Thread(target=look)
    watcher.start()
    takeovers = 0
    try:
        for number in range(wanted):
            world.apply(world.connection(f"c-{number:02}"))
            if number in (8, 14):
                world.delete(f"c-{number - 7:02}", wait=False)
            for process in (rig.operator, second):
                if not process.is_running:
                    takeovers += 1
                    process.start()
        world.until(lambda: not (rig.operator.is_running and second.is_running), 30)
    finally:
        second.kill()
        over.set()
        watcher.join()
    if not rig.operator.is_running:
        rig.start_operator("--no-leader-elect", "--account-relist", "2")
    world.until(lambda: world.held() == credits_ == len(world.sandbox.connections()), 60)
    world.until(lambda: sum("credits" in o["status"] for o in world.all()) == credits_, 30)
    assert max(most) <= credits_
    assert takeovers + world.get_pool()["status"]["ledger"]["epoch"] >= 2
