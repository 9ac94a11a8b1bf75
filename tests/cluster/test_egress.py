"""Where sync pods may go: the NetworkPolicy follows the spec, and who may write it. Nothing here enforces it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.fixtures_operator import STARTED_WITH, Manifest, World, condition
from tests.cluster.people import EDITOR, GITOPS, OWNER, TENANT, People
from tests.harness import Rig

SYNC: Manifest = {
    "name": "orders",
    "schedule": "0 0 1 1 *",
    "suspend": True,
    "entities": ["erp/purchase-orders"],
    "destination": {"duckdb": {"volumeClaimName": "history"}},
}
NARROW = [{"cidr": "203.0.113.0/24", "ports": [443]}, {"cidr": "2001:db8::/64"}]
NO_POLICIES = "spec.syncEgress is a NetworkPolicy, and you (tenant) may not create NetworkPolicies in namespace"
MANAGED = "is managed by the makini operator"


@pytest.fixture
def rig(operator_of_the_file: Rig) -> Rig:
    """The rig with an operator that runs syncs."""
    arguments = (*STARTED_WITH, "--sync-image", "makini-sync:1")
    if not operator_of_the_file.runs_with(*arguments):
        operator_of_the_file.start_operator(*arguments)
    return operator_of_the_file


@pytest.fixture
def people(installed: Rig, namespace: str) -> Iterator[People]:
    made = People(installed, namespace)
    installed.apply(made.secret("login"))
    yield made
    for item in made.get("mconn")["items"]:
        where = ("mconn", item["metadata"]["name"], "-n", namespace)
        installed.cluster.kubectl("patch", *where, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


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
        "matchExpressions": [{"key": "makini.io/sync", "operator": "Exists"}],
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


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"cidr": "203.0.113.7"}, "must be a network such as"),
        ({"cidr": "example.com"}, "must be a network such as"),
        ({"cidr": "203.0.113.0/33"}, "must be a network such as"),
        ({"cidr": "203.0.113.0/24", "ports": [0]}, "ports[0]"),
        ({"cidr": "203.0.113.0/24", "ports": []}, "ports"),
        ({"cidr": "203.0.113.0/24", "ports": [443, 443]}, "Duplicate value"),
    ],
)
def test_bad_networks_are_refused(people: People, network: Manifest, words: str) -> None:
    assert words in people.says(
        EDITOR, "create", manifest=people.connection("acme", syncs=[SYNC], syncEgress=[network])
    )


def test_whoever_says_where_syncs_may_go_needs_the_right_to_write_such_policies(people: People) -> None:
    people.grant(TENANT, "batch", "cronjobs", "create")
    people.grant(TENANT, "", "secrets", "get")
    fenced = people.connection("acme", syncs=[SYNC], syncEgress=NARROW)
    assert NO_POLICIES in people.says(TENANT, "create", manifest=fenced)
    people.rig.apply(fenced)

    def said(**spec: Any) -> str:
        return people.says(TENANT, *patched(spec), "--dry-run=server")

    assert NO_POLICIES in said(syncEgress=None)
    assert NO_POLICIES in said(syncEgress=[{"cidr": "0.0.0.0/0"}])
    assert said(suspend=True) == said(syncEgress=NARROW) == ""
    people.grant(TENANT, "networking.k8s.io", "networkpolicies", "create")
    assert said(syncEgress=[{"cidr": "0.0.0.0/0"}]) == ""


def patched(spec: Manifest) -> tuple[str, ...]:
    return ("patch", "mconn", "acme", "--type=merge", "-p", json.dumps({"spec": spec}))


def of_syncs(people: People, owner: Manifest, **spec: Any) -> Manifest:
    selector = {
        "matchLabels": {"makini.io/connection": owner["metadata"]["name"]},
        "matchExpressions": [{"key": "makini.io/sync", "operator": "Exists"}],
    }
    meta = {"name": "acme-syncs", "namespace": people.namespace}
    made = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta}
    return people.child(made | {"spec": {"podSelector": selector, "policyTypes": ["Egress"]} | spec}, owner)


def test_the_operator_writes_policies_for_sync_pods_only_and_nobody_changes_them(people: People) -> None:
    people.rig.apply(people.connection("acme", syncs=[SYNC]))
    acme = people.get("mconn", "acme")
    good = of_syncs(people, acme)
    dry = "--dry-run=server"
    for wide in ({"podSelector": {}}, {"podSelector": {"matchLabels": {"makini.io/connection": "acme"}}}):
        said = people.operator_says("create", dry, manifest=of_syncs(people, acme, **wide))
        assert "makes NetworkPolicies only for the pods of syncs" in said
    foreign = good | {"metadata": {key: good["metadata"][key] for key in ("name", "namespace", "labels")}}
    assert "touches only a NetworkPolicy that it made" in people.operator_says("create", dry, manifest=foreign)
    assert people.operator_says("create", manifest=good) == ""
    for user in (EDITOR, OWNER, GITOPS):
        change = ("patch", "netpol", "acme-syncs", "--type=merge", "-p", '{"spec":{"egress":[{}]}}')
        assert MANAGED in people.says(user, *change)
        assert people.says(user, "delete", "netpol", "acme-syncs", dry) == ""
