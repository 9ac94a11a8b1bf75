"""Revocation on the real API server: the old token is dead before the new one exists, and nobody takes the seat."""

from typing import Any

import pytest
from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.cluster.test_workflows import listed, start_run, workflow
from tests.cluster.tokens import REVOKE, Consumer, ask


def connected(world: World, credits: int = 1, **spec: Any) -> str:  # noqa: A002 - the field's name
    world.make_pool(credits)
    world.apply(world.connection("acme", **spec))
    world.until_ready("acme")
    return world.secret("acme-makini")["token"]


def revoked(world: World, before: Manifest) -> Manifest:
    """Wait until another connection is open and its token published."""

    def done() -> Manifest | None:
        obj = world.get("acme")
        is_other = obj["status"].get("connectionID") not in (None, before["status"]["connectionID"])
        is_ready = condition(obj, "Ready")["status"] == "True" and "token" in obj["status"]
        return obj if is_other and is_ready and "revocation" not in obj["status"] else None

    return world.until(done, 60)


def test_the_old_token_is_dead_before_a_new_one_is_published_and_a_waiting_connection_does_not_get_the_seat(
    world: World,
) -> None:
    old = connected(world)
    before = world.get("acme")
    world.apply(world.connection("waiting", priority=1000))
    world.until_reason("waiting", "WaitingForCredits")

    asked = ask(world, REVOKE)
    world.until(lambda: not world.sandbox.accepts(old))
    after = revoked(world, before)
    new = world.secret("acme-makini")["token"]
    assert new != old
    assert not world.sandbox.accepts(old)
    assert world.sandbox.accepts(new)

    assert after["status"]["credits"] == before["status"]["credits"]  # since when they are held, too
    assert after["status"]["handled"]["revokeAt"] == asked
    entry = after["status"]["history"][0]
    assert (entry["connectionID"], entry["reason"]) == (before["status"]["connectionID"], "TokenRevoked")
    assert condition(world.get("waiting"), "Ready")["reason"] == "WaitingForCredits"
    assert [row["key"] for row in world.sandbox.connections()] == [after["status"]["connectionID"]]
    assert len(world.sandbox.all_connections()) == 2
    assert "TokenRevoked" in [reason for reason, _ in world.events("acme")]
    world.until(lambda: world.held() == 1)


def test_a_published_token_always_works_when_it_is_read_after_the_revocation_began(world: World) -> None:
    """What is published is either the old one, until it goes, or the new one: a consumer sees no Secret in between."""
    connected(world)
    before = world.get("acme")
    with Consumer(world) as consumer:
        world.until(lambda: consumer.calls() > 3)
        ask(world, REVOKE)
        revoked(world, before)
    # it may have read the old token a moment before it was ended
    assert "not found" in consumer.trouble or consumer.answers.count(401) <= 1


def test_workflows_are_stopped_meanwhile_and_come_back(world: World) -> None:
    connected(world, workflows=[workflow()])
    before = world.get("acme")
    start_run(world)
    first = listed(world, "cronjobs")[0]["metadata"]["uid"]
    ask(world, REVOKE)
    revoked(world, before)
    world.until(lambda: listed(world, "cronjobs"))
    assert listed(world, "cronjobs")[0]["metadata"]["uid"] != first
    assert listed(world, "pods,jobs") == []


@pytest.mark.parametrize("down_for", ["the whole close", "the opening"])
def test_while_makini_is_down_the_secret_is_gone_and_the_seat_is_kept(world: World, down_for: str) -> None:
    old = connected(world)
    before = world.get("acme")
    world.apply(world.connection("waiting", priority=1000))
    world.until_reason("waiting", "WaitingForCredits")
    if down_for == "the whole close":
        world.sandbox.stop()
    else:
        refuses = {"kind": "status", "status": 503, "path": "^/api/system/connections$", "method": "POST"}
        world.sandbox.fault(refuses | {"times": -1})
    ask(world, REVOKE)
    world.until(lambda: "acme-makini" not in world.secret_names(), 60)
    assert world.get("acme")["status"]["credits"] == before["status"]["credits"]
    world.rig.operator.kill()
    world.rig.start_operator("--account-relist", "3")
    assert "acme-makini" not in world.secret_names()
    if down_for == "the whole close":
        world.sandbox.start()
    else:
        world.until(lambda: not world.sandbox.accepts(old))
        world.sandbox.heal()
    after = revoked(world, before)
    assert after["status"]["credits"] == before["status"]["credits"]
    assert not world.sandbox.accepts(old)
    assert condition(world.get("waiting"), "Ready")["reason"] == "WaitingForCredits"


def test_a_kill_in_the_middle_changes_nothing(world: World) -> None:
    old = connected(world)
    before = world.get("acme")
    slow = {"kind": "latency", "seconds": 0.7, "path": "^/api/system/connections", "times": 1000}
    stages = (
        lambda status: status.get("revocation"),
        lambda status: "connectionID" not in status,
        lambda status: status.get("connectionID") not in (None, before["status"]["connectionID"]),
    )
    for stage in stages:
        world.sandbox.fault(slow)
        ask(world, REVOKE)
        world.until(lambda stage=stage: stage(world.get("acme")["status"]))
        world.rig.operator.kill()
        world.sandbox.heal()
        world.rig.start_operator("--account-relist", "3")
        after = revoked(world, before)
        assert after["status"]["credits"] == before["status"]["credits"]
        assert not world.sandbox.accepts(old)
        before, old = after, world.secret("acme-makini")["token"]
    assert len(world.sandbox.connections()) == 1


def test_a_request_that_is_older_than_the_connection_ends_nothing(world: World) -> None:
    world.make_pool()
    manifest = world.connection("acme")
    manifest["metadata"]["annotations"] = {REVOKE: "2020-01-01T00:00:00Z"}
    world.apply(manifest)
    world.until_ready("acme")
    world.kubectl("annotate", "mconn", "acme", "-n", world.namespace, "example.com/a=b")
    world.until(lambda: world.get("acme")["metadata"]["annotations"]["example.com/a"] == "b")
    assert len(world.sandbox.all_connections()) == 1


def test_a_deletion_in_the_middle_of_a_revocation_returns_everything(world: World) -> None:
    connected(world)
    world.sandbox.stop()
    ask(world, REVOKE)
    world.until(lambda: "acme-makini" not in world.secret_names(), 60)
    world.delete("acme", wait=False)
    world.sandbox.start()
    world.until(lambda: world.all() == [], 60)
    assert world.sandbox.connections() == []
    world.until(lambda: world.held() == 0)
