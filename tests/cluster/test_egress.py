"""Where sync pods may go: the NetworkPolicy follows the spec. Nobody enforces it here; rights: test_policies."""

import pytest
from tests.cluster.fixtures_operator import STARTED_WITH, Manifest, World, condition
from tests.harness import Rig

SYNC: Manifest = {
    "name": "orders",
    "schedule": "0 0 1 1 *",
    "suspend": True,
    "entities": ["erp/purchase-orders"],
    "destination": {"duckdb": {"volumeClaimName": "history"}},
}
NARROW = [{"cidr": "203.0.113.0/24", "ports": [443]}, {"cidr": "2001:db8::/64"}]


@pytest.fixture
def rig(operator_of_the_file: Rig) -> Rig:
    """The rig with an operator that runs syncs."""
    arguments = (*STARTED_WITH, "--sync-image", "makini-sync:1")
    if not operator_of_the_file.runs_with(*arguments):
        operator_of_the_file.start_operator(*arguments)
    return operator_of_the_file


def policies(world: World) -> list[Manifest]:
    found = world.rig.get("networkpolicies", "-n", world.namespace, "-l", "makini.io/connection=acme")["items"]
    return [obj for obj in found if "deletionTimestamp" not in obj["metadata"]]


def test_the_policy_follows_the_spec_and_is_put_right_when_it_is_changed(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("acme", syncs=[SYNC], syncEgress=NARROW))
    world.until_ready("acme")
    (found,) = world.until(lambda: policies(world))
    spec = found["spec"]
    assert spec["podSelector"] == {
        "matchLabels": {"makini.io/connection": "acme"},
        "matchExpressions": [
            {"key": "makini.io/sync", "operator": "Exists"},
            {"key": "makini.io/workflow", "operator": "DoesNotExist"},
        ],
    }
    assert (spec["policyTypes"], spec.get("ingress")) == (["Ingress", "Egress"], None)
    assert spec["egress"] == [
        {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
        {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"protocol": "TCP", "port": 443}]},
        {"to": [{"ipBlock": {"cidr": "2001:db8::/64"}}]},
    ]
    name = found["metadata"]["name"]
    # as the last resort, whom the policies let pass
    world.kubectl("patch", "netpol", name, "-n", world.namespace, "--type=merge", "-p", '{"spec":{"egress":[{}]}}')
    world.until(lambda: [each["spec"]["egress"] for each in policies(world)] == [spec["egress"]])
    world.kubectl("delete", "netpol", name, "-n", world.namespace)
    world.until(lambda: policies(world))
    world.patch("acme", {"syncEgress": []})
    world.until(lambda: [len(each["spec"]["egress"]) for each in policies(world)] == [1])
    world.patch("acme", {"syncEgress": None})
    world.until(lambda: policies(world) == [])


def test_it_comes_before_the_syncs_and_goes_after_them(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("acme", syncs=[SYNC], syncEgress=NARROW))
    world.until_ready("acme")
    (cron,) = world.until(
        lambda: world.rig.get("cronjobs", "-n", world.namespace, "-l", "makini.io/connection=acme")["items"]
    )
    (policy,) = policies(world)
    assert int(policy["metadata"]["resourceVersion"]) < int(cron["metadata"]["resourceVersion"])
    world.patch("acme", {"connected": False})
    world.until_reason("acme", "Disconnected")
    world.until(lambda: policies(world) == [])


def test_a_foreign_policy_of_that_name_is_left_alone_and_no_sync_begins(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("acme", syncs=[SYNC], syncEgress=NARROW))
    world.until_ready("acme")
    (found,) = world.until(lambda: policies(world))
    world.patch("acme", {"syncs": None})
    world.until(lambda: policies(world) == [])
    name = found["metadata"]["name"]
    meta = {"name": name, "namespace": world.namespace}
    theirs = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta}
    world.apply(theirs | {"spec": {"podSelector": {}}})
    world.patch("acme", {"syncs": [SYNC]})
    refused = world.until_reason("acme", "SyncRefused")
    assert "belongs to somebody else" in condition(refused, "Ready")["message"]
    assert world.rig.get("cronjobs", "-n", world.namespace)["items"] == []
