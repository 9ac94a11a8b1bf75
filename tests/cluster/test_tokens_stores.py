"""Stores on the real API server: PushSecrets that follow the token, with External Secrets Operator played by hand."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster import push_secrets
from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.cluster.push_secrets import NAME, answer, only_push, pushes
from tests.cluster.tokens import ROTATE, ask, until_attempt, workload
from tests.harness.rig import OPERATOR_USER

VAULT: Manifest = {
    "name": "vault",
    "secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"},
    "remoteKey": "makini/acme",
}
AWS: Manifest = {"name": "aws", "secretStoreRef": {"kind": "SecretStore", "name": "aws"}, "remoteKey": "acme"}


@pytest.fixture
def served(world: World) -> Iterator[World]:
    """A world with PushSecrets."""
    with push_secrets.installed(world.rig):
        yield world
        world.kubectl("delete", "mconn", "--all", "-n", world.namespace, "--timeout=60s")


def connected(world: World, *stores: Manifest, **token: Any) -> None:
    world.make_pool()
    world.apply(world.connection("acme", token={"stores": list(stores)} | token))


def told(world: World, reason: str) -> Manifest:
    return world.until_reason("acme", reason, seconds=60)


def test_without_external_secrets_operator_it_is_said_and_the_rest_works(world: World) -> None:
    connected(world, VAULT, readers=[{"serviceAccountName": "erp"}])
    obj = told(world, "StoresNotServed")
    assert "install it, or leave spec.token.stores out" in condition(obj, "Ready")["message"]
    assert condition(obj, "TokenReady")["status"] == "False"
    assert obj["status"]["phase"] == "Active"
    assert world.sandbox.accepts(world.secret("acme-makini")["token"])
    with push_secrets.installed(world.rig):
        push = only_push(world)
        answer(world, push["metadata"]["name"], ready=True)
        world.until_ready("acme", seconds=60)
        world.delete("acme")


def test_a_copy_is_asked_for_awaited_and_its_error_is_told(served: World) -> None:
    world = served
    connected(world, VAULT)
    told(world, "StoreNotReady")
    awaited = "waiting for External Secrets Operator"
    world.until(lambda: awaited in condition(world.get("acme"), "Ready")["message"], 60)
    push = only_push(world)
    assert push["spec"]["selector"]["secret"]["name"] == "acme-makini"
    assert push["spec"]["secretStoreRefs"] == [VAULT["secretStoreRef"]]
    assert push["spec"]["data"] == [{"match": {"remoteRef": {"remoteKey": "makini/acme"}}}]
    assert push["spec"]["deletionPolicy"] == "Delete"

    answer(world, push["metadata"]["name"], ready=False, message="could not get ClusterSecretStore vault")
    world.until(
        lambda: (
            "could not get ClusterSecretStore vault; mend ClusterSecretStore vault"
            in condition(world.get("acme"), "TokenReady")["message"]
        ),
        60,
    )
    assert condition(world.get("acme"), "TokenReady")["reason"] == "StoreNotReady"
    answer(world, push["metadata"]["name"], ready=True)
    world.until_ready("acme", seconds=60)
    assert world.get("acme")["status"]["stores"] == ["vault"]


def test_a_rotation_is_pushed_at_once_and_awaited(served: World) -> None:
    world = served
    connected(world, VAULT)
    push = only_push(world)
    name = push["metadata"]["name"]
    answer(world, name, ready=True)
    world.until_ready("acme", seconds=60)
    before = only_push(world)["metadata"]["annotations"]["makini.io/pushed-for"]
    ask(world, ROTATE)
    until_attempt(world, 1)
    world.until(lambda: only_push(world)["metadata"]["annotations"]["makini.io/pushed-for"] != before)
    told(world, "StoreNotReady")  # what it said was about the former token
    answer(world, name, ready=True)
    world.until_ready("acme", seconds=60)


def test_copies_that_are_not_wanted_any_more_are_removed_and_edits_are_undone(served: World) -> None:
    world = served
    connected(world, VAULT, AWS)
    world.until(lambda: len(pushes(world)) == 2)
    for push in pushes(world):
        answer(world, push["metadata"]["name"], ready=True)
    world.until_ready("acme", seconds=60)
    world.patch("acme", {"token": {"stores": [AWS]}})
    world.until(lambda: [p["metadata"]["labels"]["makini.io/store"] for p in pushes(world)] == ["aws"])
    name = pushes(world)[0]["metadata"]["name"]
    stolen = json.dumps({"spec": {"selector": {"secret": {"name": world.login}}}})
    world.kubectl("patch", NAME, name, "-n", world.namespace, "--type=merge", "-p", stolen)
    world.kubectl("annotate", "mconn", "acme", "-n", world.namespace, "example.com/look=again")
    world.until(lambda: pushes(world)[0]["spec"]["selector"]["secret"]["name"] == "acme-makini", 90)
    world.patch("acme", {"token": {"stores": None}})
    world.until(lambda: pushes(world) == [])
    world.until(lambda: "stores" not in world.get("acme")["status"])


@pytest.mark.parametrize("how", ["disconnect", "delete"])
def test_the_end_of_the_connection_removes_the_copies_and_waits_for_nobody(served: World, how: str) -> None:
    """A store that is gone keeps its PushSecret: External Secrets Operator cannot remove the copy."""
    world = served
    connected(world, VAULT)
    name = only_push(world)["metadata"]["name"]
    stuck = json.dumps({"metadata": {"finalizers": ["pushsecret.externalsecrets.io/finalizer"]}})
    world.kubectl("patch", NAME, name, "-n", world.namespace, "--type=merge", "-p", stuck)
    world.until(lambda: "acme-makini" in world.secret_names())
    if how == "delete":
        world.delete("acme")
    else:
        world.patch("acme", {"connected": False})
        world.until_reason("acme", "Disconnected")
        assert "stores" not in world.get("acme")["status"]
    assert "deletionTimestamp" in only_push(world)["metadata"]
    assert world.sandbox.connections() == []
    world.kubectl("patch", NAME, name, "-n", world.namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    world.until(lambda: pushes(world) == [])


def test_a_foreign_push_secret_of_the_wanted_name_is_left_alone(served: World) -> None:
    world = served
    connected(world, VAULT)
    push = only_push(world)
    world.patch("acme", {"token": {"stores": None}})
    world.until(lambda: pushes(world) == [])
    meta = {"name": push["metadata"]["name"], "namespace": world.namespace}
    foreign = {"apiVersion": push["apiVersion"], "kind": "PushSecret", "metadata": meta, "spec": {"mine": True}}
    world.apply(foreign)
    world.patch("acme", {"token": {"stores": [VAULT]}})
    obj = told(world, "StoreRefused")
    assert "belongs to somebody else: it is left alone" in condition(obj, "Ready")["message"]
    assert only_push(world)["spec"] == {"mine": True}
    world.kubectl("delete", NAME, meta["name"], "-n", world.namespace)


def test_a_settled_connection_with_everything_is_never_written_again(served: World) -> None:
    """Counted in the API server's audit log, through several listings of the account and a restart."""
    world = served
    world.apply(workload("Deployment", "erp", world.namespace))
    everything = {
        "readers": [{"serviceAccountName": "erp"}],
        "rotation": {"every": "480h", "overlap": "10m"},
        "rolloutRestart": [{"kind": "Deployment", "name": "erp"}],
    }
    connected(world, VAULT, **everything)
    answer(world, only_push(world)["metadata"]["name"], ready=True)
    world.until_ready("acme", seconds=60)
    world.until(lambda: world.get_pool()["status"]["account"]["owned"] == 1)
    quiet = world.rig.cluster.audit_position()
    for _ in range(2):
        before = world.sandbox.requests().get("GET /api/system/connections", 0)
        world.until(lambda before=before: world.sandbox.requests()["GET /api/system/connections"] >= before + 3, 60)
        world.rig.operator.kill()
        world.rig.start_operator("--account-relist", "3")
    written = world.rig.cluster.writes(quiet, user=OPERATOR_USER)
    mine = [write for write in written if write["objectRef"]["resource"] != "creditpools"]  # a take-over writes those
    assert [(write["verb"], write["objectRef"]["resource"]) for write in mine] == []
