"""Readers on the real API server: exactly one Secret, for exactly the ServiceAccounts of the spec."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.cluster.people import EDITOR, TENANT, People
from tests.cluster.tokens import workload
from tests.harness import Rig
from tests.localkube import objects
from tests.localkube.waiting import wait_until

ERP, WEB = {"serviceAccountName": "erp"}, {"serviceAccountName": "web"}


def connected(world: World, **token: Any) -> None:
    world.make_pool()
    world.apply(world.connection("acme", token=token))
    world.until_ready("acme")


def can(world: World, account: str, secret: str = "acme-makini", verb: str = "get") -> bool:  # noqa: S107 - a name
    """What `kubectl auth can-i` says for a ServiceAccount of the namespace."""
    who = f"--as=system:serviceaccount:{world.namespace}:{account}"
    asked = ("auth", "can-i", verb, f"secrets/{secret}", "-n", world.namespace, who)
    return world.kubectl(*asked, check=False).stdout.strip() == "yes"


def grants(world: World) -> list[Manifest]:
    selector = ("-l", "makini.io/connection=acme")
    found: list[Manifest] = world.rig.get("roles,rolebindings", "-n", world.namespace, *selector)["items"]
    return found


def test_a_reader_may_get_exactly_the_tokens_secret_and_nobody_else_may(world: World) -> None:
    connected(world, readers=[ERP])
    world.until(lambda: can(world, "erp"))
    assert not can(world, "web")
    assert not can(world, "erp", verb="list")
    assert not can(world, "erp", verb="update")
    assert not can(world, "erp", secret=world.login)
    assert not can(world, "default")


def test_who_is_unlisted_may_not_any_more_and_without_readers_nothing_is_left(world: World) -> None:
    connected(world, readers=[ERP, WEB])
    world.until(lambda: can(world, "erp") and can(world, "web"))
    world.patch("acme", {"token": {"readers": [WEB]}})
    world.until(lambda: not can(world, "erp"))
    assert can(world, "web")
    world.patch("acme", {"token": {"readers": None}})
    world.until(lambda: grants(world) == [])
    world.until(lambda: not can(world, "web"))


def test_they_follow_the_secrets_name_and_go_with_the_connection(world: World) -> None:
    connected(world, readers=[ERP])
    world.until(lambda: can(world, "erp"))
    world.patch("acme", {"token": {"secretName": "renamed"}})
    world.until(lambda: can(world, "erp", "renamed") and not can(world, "erp"))
    world.until(lambda: "acme-makini" not in world.secret_names())
    world.patch("acme", {"connected": False})
    world.until_reason("acme", "Disconnected")
    assert grants(world) == []
    assert not can(world, "erp", "renamed")


def test_what_is_deleted_or_edited_is_restored_and_a_restart_writes_nothing(world: World) -> None:
    connected(world, readers=[ERP])
    world.until(lambda: len(grants(world)) == 2)
    name = grants(world)[0]["metadata"]["name"]
    world.kubectl("delete", "role", name, "-n", world.namespace)
    world.until(lambda: len(grants(world)) == 2)
    everybody = json.dumps({"subjects": [{"kind": "Group", "name": "system:authenticated"}]})
    # as the last resort, whom the policies let pass
    world.kubectl("patch", "rolebinding", name, "-n", world.namespace, "--type=merge", "-p", everybody)
    world.until(lambda: [g["subjects"][0]["name"] for g in grants(world) if "subjects" in g] == ["erp"])
    versions = sorted(g["metadata"]["resourceVersion"] for g in grants(world))
    world.rig.operator.kill()
    world.rig.start_operator("--account-relist", "3")
    before = world.sandbox.requests().get("GET /api/system/connections", 0)
    world.until(lambda: world.sandbox.requests().get("GET /api/system/connections", 0) >= before + 3)
    assert sorted(g["metadata"]["resourceVersion"] for g in grants(world)) == versions


def test_a_foreign_secret_is_neither_touched_nor_opened(world: World) -> None:
    foreign = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop", "namespace": world.namespace}}
    world.apply(foreign | {"stringData": {"password": "theirs"}})
    world.make_pool()
    world.apply(world.connection("acme", token={"secretName": "shop", "readers": [ERP]}))
    told = world.until_reason("acme", "SecretConflict")
    assert "choose another spec.token.secretName, or delete that Secret" in condition(told, "Ready")["message"]
    assert grants(world) == []
    assert not can(world, "erp", "shop")
    assert world.secret("shop") == {"password": "theirs"}


def test_a_secret_that_becomes_foreign_is_closed_to_readers(world: World) -> None:
    connected(world, readers=[ERP])
    world.until(lambda: can(world, "erp"))
    world.kubectl("create", "configmap", "theirs", "-n", world.namespace)
    uid = world.rig.get("configmap", "theirs", "-n", world.namespace)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": uid, "controller": True}
    taken = {"metadata": {"ownerReferences": [owner], "labels": {"makini.io/managed-by": None}}}
    world.kubectl("patch", "secret", "acme-makini", "-n", world.namespace, "--type=merge", "-p", json.dumps(taken))
    world.until_reason("acme", "SecretConflict")
    world.until(lambda: not can(world, "erp"))
    assert grants(world) == []
    world.kubectl("delete", "secret", "acme-makini", "-n", world.namespace)
    world.until_ready("acme", seconds=60)
    world.until(lambda: can(world, "erp"))


def test_a_reader_that_does_not_exist_or_goes_leaves_nothing_stuck(world: World) -> None:
    world.kubectl("create", "serviceaccount", "erp", "-n", world.namespace)
    connected(world, readers=[ERP, WEB])
    world.until(lambda: can(world, "erp"))
    world.kubectl("delete", "serviceaccount", "erp", "-n", world.namespace)
    world.delete("acme")
    assert grants(world) == []


def test_a_foreign_role_of_the_wanted_name_is_left_alone_and_named(world: World) -> None:
    connected(world, readers=[ERP])
    world.until(lambda: len(grants(world)) == 2)
    name = grants(world)[0]["metadata"]["name"]
    world.patch("acme", {"token": {"readers": None}})
    world.until(lambda: grants(world) == [])
    rbac = "rbac.authorization.k8s.io/v1"
    meta = {"name": name, "namespace": world.namespace}
    world.apply({"apiVersion": rbac, "kind": "Role", "metadata": meta, "rules": []})
    world.patch("acme", {"token": {"readers": [ERP]}})
    told = world.until_reason("acme", "ReadersRefused")
    assert f"Role {name}, which exists and belongs to somebody else" in condition(told, "Ready")["message"]
    assert condition(told, "TokenReady")["status"] == "False"
    world.kubectl("delete", "role", name, "-n", world.namespace)
    world.until_ready("acme", seconds=60)


# --- who may ask for it ----------------------------------------------------------------------------------------------


@pytest.fixture
def people(installed: Rig, namespace: str) -> Iterator[People]:
    """With no operator at work: what it would do is not asked here."""
    if installed.operator.is_running:
        assert installed.operator.stop() == 0, installed.operator.text()[-3000:]
    made = People(installed, namespace)
    installed.apply(made.secret("login"))
    made.grant(TENANT, "", "secrets", "get", "login")
    yield made
    objects.delete_all(installed.cluster, "mconn", namespace, seconds=60)


def test_readers_need_the_right_to_bind_and_to_get_the_secret(people: People) -> None:
    wanted = people.connection("acme", token={"readers": [ERP]})
    assert "you (tenant) may not create RoleBindings" in people.says(TENANT, "create", manifest=wanted)
    people.grant(TENANT, "rbac.authorization.k8s.io", "rolebindings", "create")
    assert "read Secret acme-makini, which you (tenant) may not get" in people.says(TENANT, "create", manifest=wanted)
    both = people.role("get-both", [""], ["secrets"], ["get"], ["login", "acme-makini"])
    people.rig.apply(both, people.binding(TENANT, "Role", "get-both"))
    people.until_allowed(TENANT, "get", "", "secrets", "acme-makini")
    assert people.says(TENANT, "create", manifest=wanted) == ""
    renamed = {"spec": {"token": {"secretName": "login2", "readers": [ERP]}}}
    patch = ("patch", "mconn", "acme", "--type=merge", "-p")
    assert "read Secret login2, which you" in people.says(TENANT, *patch, json.dumps(renamed))
    for harmless in ({"suspend": True}, {"token": {"readers": None}}):
        assert people.says(TENANT, *patch, json.dumps({"spec": harmless})) == ""


def test_restarts_need_the_right_to_patch_each_target_and_stores_to_create_push_secrets(people: People) -> None:
    targets = [{"kind": "Deployment", "name": f"app-{n}"} for n in range(15)] + [{"kind": "DaemonSet", "name": "last"}]
    wanted = people.connection("acme", token={"rolloutRestart": targets})
    said = people.says(TENANT, "create", manifest=wanted)
    assert "spec.token.rolloutRestart restarts Deployment app-0, which you (tenant) may not patch" in said
    people.grant(TENANT, "apps", "deployments", "patch")
    assert "restarts DaemonSet last" in people.says(TENANT, "create", manifest=wanted)
    people.grant(TENANT, "apps", "daemonsets", "patch", "last")
    assert people.says(TENANT, "create", manifest=wanted) == ""
    store = {"name": "v", "remoteKey": "k", "secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"}}
    copied = people.connection("second", token={"stores": [store]})
    assert "may not create PushSecrets" in people.says(TENANT, "create", manifest=copied)
    people.grant(TENANT, "external-secrets.io", "pushsecrets", "create")
    assert people.says(TENANT, "create", manifest=copied) == ""


def test_what_readers_have_is_changed_only_by_the_operator(people: People) -> None:
    people.rig.apply(people.connection("acme"))
    owner = people.get("mconn", "acme")
    role = people.role("acme-x", [""], ["secrets"], ["get"], ["acme-makini"])
    child = people.child(role, owner)
    assert "leave it out of this Role" in people.says(EDITOR, "create", manifest=child) or "forbidden" in people.says(
        EDITOR, "create", manifest=child
    )
    assert people.operator_says("create", manifest=child) == ""
    wider = json.dumps({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]})
    patch = ("patch", "role", "acme-x", "--type=merge", "-p", wider)
    assert "is managed by the makini operator" in people.says("gitops", *patch)
    assert "makes only Roles that get one named Secret" in people.operator_says(*patch)
    stolen = people.child(people.role("acme-y", ["*"], ["*"], ["*"]), owner)
    assert "makes only Roles that get one named Secret" in people.operator_says("create", manifest=stolen)
    foreign = people.role("acme-z", [""], ["secrets"], ["get"], ["acme-makini"])
    assert "touches only a Role that it made" in people.operator_says("create", manifest=foreign)


def test_a_pod_may_mount_the_token_as_a_reader_and_is_warned_as_anybody_else(people: People) -> None:
    for account in ("erp", "web"):
        people.rig.cluster.kubectl("create", "serviceaccount", account, "-n", people.namespace)
    people.rig.apply(people.connection("acme", token={"readers": [ERP]}))
    volumes = [{"name": "token", "secret": {"secretName": "acme-makini"}}]

    def says(name: str, **spec: Any) -> str:
        return people.says(EDITOR, "create", manifest=people.pod(name, volumes=volumes, **spec))

    # the policy hears of the connection a moment after it is stored
    names = iter(range(100))
    wait_until(lambda: "holds the token of MakiniConnection acme" in says(f"other-{next(names)}"), 30, "the policy")
    assert "or as a ServiceAccount of spec.token.readers" in says("web", serviceAccountName="web")
    assert says("erp", serviceAccountName="erp") == ""


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_of_a_workload_the_operator_changes_only_the_annotation_that_restarts_it(people: People, kind: str) -> None:
    made = workload(kind, "app", people.namespace)
    people.rig.apply(made)

    def says(patch: Manifest) -> str:
        return people.operator_says("patch", kind.lower(), "app", "--type=merge", "-p", json.dumps(patch))

    def template(part: Manifest) -> Manifest:
        return {"spec": {"template": part}}

    restart = {"metadata": {"annotations": {"restarted.makini.io/acme": "c1/1 2026-01-01T00:00:00Z"}}}
    assert says(template(restart)) == ""
    refused = "the operator changes nothing of a workload but the annotation"
    evil = [
        template({"spec": {"containers": [{"name": "app", "image": "evil:1"}]}}),
        template({"spec": {"serviceAccountName": "admin"}}),
        template({"metadata": {"annotations": {"sidecar.example.com/inject": "true"}}}),
        template({"metadata": {"labels": {"team": "evil"}}}),
        {"metadata": {"annotations": {"example.com/a": "b"}}},
        {"metadata": {"labels": {"team": "evil"}}},
    ]
    evil += [{"spec": {"replicas": 7}}] if kind != "DaemonSet" else []
    for patch in evil:
        assert refused in says(patch), patch
    other = workload(kind, "other", people.namespace)
    assert refused in people.operator_says("create", manifest=other)
    assert refused in people.operator_says("delete", kind.lower(), "app")
