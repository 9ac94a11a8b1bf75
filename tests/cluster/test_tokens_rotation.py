"""Rotation on the real API server: nobody's call fails, workloads are restarted in turn, a crash changes nothing."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.fixtures_operator import World, condition
from tests.cluster.tokens import (
    ROTATE,
    Consumer,
    ask,
    mints,
    restarts,
    token_status,
    until_attempt,
    until_over,
    workload,
    world_of,
)
from tests.harness import Rig

KINDS = ("Deployment", "StatefulSet", "DaemonSet")


@pytest.fixture
def killing(rig: Rig, namespace: str, tmp_path: Path) -> Iterator[World]:
    """Makini ends the first token when it makes a second."""
    with world_of(rig, namespace, tmp_path, "--second-token-kills-first") as made:
        yield made


@pytest.fixture
def short(rig: Rig, namespace: str, tmp_path: Path) -> Iterator[World]:
    """Makini's tokens live 30 seconds."""
    with world_of(rig, namespace, tmp_path, "--token-life", "30") as made:
        yield made


def connected(world: World, **token: object) -> str:
    """A connection called acme; returns its first token."""
    world.make_pool()
    world.apply(world.connection("acme", token=token))
    world.until_ready("acme")
    return world.secret("acme-makini")["token"]


def test_the_new_token_comes_with_the_previous_one_and_every_kind_of_workload_is_restarted(world: World) -> None:
    world.apply(*(workload(kind, "app", world.namespace) for kind in KINDS))
    first = connected(world, rolloutRestart=[{"kind": kind, "name": "app"} for kind in KINDS])
    assert [restarts(world, kind, "app") for kind in KINDS] == [None, None, None]

    asked = ask(world, ROTATE)
    until_attempt(world, 1)
    published = world.secret("acme-makini")
    assert published["previous-token"] == first != published["token"]
    assert world.sandbox.accepts(first)
    assert world.sandbox.accepts(published["token"])
    world.until(lambda: all(restarts(world, kind, "app") for kind in KINDS))
    world.until(lambda: token_status(world).get("rotation", {}).get("previous") == "Works")

    obj = world.get("acme")
    assert obj["status"]["handled"]["rotateAt"] == asked
    assert condition(obj, "Ready")["status"] == "True"
    assert condition(obj, "TokenReady")["reason"] == "TokenRotating"
    assert obj["status"]["token"]["previousExpiresAt"]
    assert ("TokenRotated", "a new token is published in Secret acme-makini (requested)") in world.events("acme")
    assert mints(world) == 1


def test_when_makini_ends_the_first_token_it_is_dropped_at_once_and_said(killing: World) -> None:
    world = killing
    first = connected(world)
    ask(world, ROTATE)
    until_over(world, 1)
    assert set(world.secret("acme-makini")) == {"token", "url", "connection-id"}
    assert not world.sandbox.accepts(first)
    assert world.sandbox.accepts(world.secret("acme-makini")["token"])
    assert "PreviousTokenEnded" in [reason for reason, _ in world.events("acme")]


def test_a_previous_token_that_has_expired_is_dropped_and_a_short_life_is_an_alarm(short: World) -> None:
    world = short
    connected(world)
    alarm = condition(world.get("acme"), "TokenReady")
    assert (alarm["status"], alarm["reason"]) == ("True", "TokenShortLived")
    assert "TokenShortLived" in [reason for reason, _ in world.events("acme")]
    ask(world, ROTATE)
    until_attempt(world, 1)
    assert "previous-token" in world.secret("acme-makini")
    world.until(lambda: "previous-token" not in world.secret("acme-makini"), 60)
    assert mints(world) == 1  # a minute passes between two mints, however short they live


def test_a_stuck_rollout_stops_the_rotation_says_why_and_heals(world: World) -> None:
    world.apply(
        workload("Deployment", "broken", world.namespace, replicas=1, progressDeadlineSeconds=1),
        workload("Deployment", "after", world.namespace),
    )
    connected(world, rolloutRestart=[{"kind": "Deployment", "name": name} for name in ("broken", "after")])
    ask(world, ROTATE)
    stuck = world.until_reason("acme", "RolloutStuck", seconds=60)
    assert condition(stuck, "Stalled")["status"] == "True"
    assert "Deployment broken does not come to its end: 0 of 1 new pods" in condition(stuck, "Ready")["message"]
    assert condition(stuck, "TokenReady")["status"] == "True"
    assert restarts(world, "Deployment", "after") is None
    assert "previous-token" in world.secret("acme-makini")

    world.kubectl("scale", "deployment", "broken", "-n", world.namespace, "--replicas=0")
    world.until_ready("acme", seconds=60)
    world.until(lambda: restarts(world, "Deployment", "after"))
    assert mints(world) == 1


def test_a_deployment_that_goes_under_rotation_leaves_nothing_stuck(world: World) -> None:
    world.apply(workload("Deployment", "broken", world.namespace, replicas=1, progressDeadlineSeconds=1))
    connected(world, rolloutRestart=[{"kind": "Deployment", "name": "broken"}])
    ask(world, ROTATE)
    world.until_reason("acme", "RolloutStuck", seconds=60)
    world.kubectl("delete", "deployment", "broken", "-n", world.namespace)
    world.until_ready("acme", seconds=60)


def test_a_namespace_that_goes_under_rotation_leaves_nothing_stuck(world: World) -> None:
    world.apply(workload("Deployment", "broken", world.namespace, replicas=1, progressDeadlineSeconds=1))
    connected(
        world,
        rolloutRestart=[{"kind": "Deployment", "name": "broken"}],
        readers=[{"serviceAccountName": "erp"}],
    )
    ask(world, ROTATE)
    world.until_reason("acme", "RolloutStuck", seconds=60)
    world.kubectl("delete", "namespace", world.namespace, "--timeout=60s")
    assert world.sandbox.connections() == []


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_consumer_that_reads_through_the_api_never_fails_through_three_rotations(world: World, how: str) -> None:
    """The operator ends in the middle of each, at a moment that varies."""
    connected(world)
    with Consumer(world) as consumer:
        for attempt in (1, 2, 3):
            before = consumer.calls()
            world.until(lambda before=before: consumer.calls() > before + 5)
            known = mints(world)
            ask(world, ROTATE)
            world.until(lambda known=known: mints(world) > known)
            getattr(world.rig.operator, how)()
            world.rig.start_operator("--account-relist", "3")
            until_attempt(world, attempt)
            world.until(lambda: token_status(world)["rotation"].get("previous") == "Works")
    assert consumer.trouble == ""
    assert len(consumer.answers) > 15
    assert set(consumer.answers) == {200}
    assert 3 <= mints(world) <= 6  # at most one more for each end of the operator


def test_fifty_harmless_edits_never_mint(world: World) -> None:
    token = connected(world)
    chance = random.Random(50)  # noqa: S311 - the same edits in each run
    edits = [
        lambda n: {"metadata": {"plan": f"plan-{n}"}},
        lambda n: {"suspend": n % 2 == 0},
        lambda n: {"priority": n},
        lambda n: {"token": {"secretTemplate": {"labels": {"team": f"team-{n}"}}}},
        lambda n: {"token": {"secretTemplate": {"annotations": {"example.com/note": f"note-{n}"}}}},
        lambda n: {"token": {"readers": [{"serviceAccountName": f"reader-{n}"}]}},
        lambda n: {"token": {"rotation": {"every": f"{400 + n}h", "overlap": f"{10 + n}m"}}},
        lambda n: {"token": {"rolloutRestart": [{"kind": "Deployment", "name": f"app-{n}"}]}},
        lambda n: {"token": {"secretName": f"acme-{n % 3}"}},
    ]
    for number in range(50):
        world.patch("acme", chance.choice(edits)(number))
    labelled = ("label", "mconn", "acme", "-n", world.namespace, "team=erp")
    world.kubectl(*labelled)
    world.until_ready("acme", seconds=60)
    name = (world.get("acme")["spec"]["token"] or {}).get("secretName", "acme-makini")
    world.until(lambda: world.secret_names() >= {name})
    assert world.secret(name)["token"] == token
    assert mints(world) == 0
    assert token_status(world)["secretName"] == name


def test_an_annotation_that_is_no_time_is_said_and_one_that_is_older_than_the_connection_does_nothing(
    world: World,
) -> None:
    world.make_pool()
    manifest = world.connection("acme")
    manifest["metadata"]["annotations"] = {ROTATE: "2020-01-01T00:00:00Z"}
    world.apply(manifest)
    world.until_ready("acme")
    assert "handled" not in world.get("acme")["status"]
    world.kubectl("annotate", "mconn", "acme", "-n", world.namespace, f"{ROTATE}=now", "--overwrite")
    world.until(lambda: "is not a time" in condition(world.get("acme"), "Ready")["message"])
    assert mints(world) == 0


def test_a_suspended_connection_rotates_on_request(world: World) -> None:
    first = connected(world)
    world.patch("acme", {"suspend": True})
    ask(world, ROTATE)
    until_attempt(world, 1)
    assert world.secret("acme-makini")["token"] != first


def test_a_lost_token_is_replaced_and_workloads_are_restarted_for_it(world: World) -> None:
    world.apply(workload("Deployment", "app", world.namespace))
    first = connected(world, rolloutRestart=[{"kind": "Deployment", "name": "app"}])
    edited = json.dumps({"stringData": {"token": "edited"}})
    world.kubectl("patch", "secret", "acme-makini", "-n", world.namespace, "--type=merge", "-p", edited)
    until_over(world, 1)
    assert world.secret("acme-makini")["token"] not in (first, "edited")
    assert restarts(world, "Deployment", "app")
