"""Each admission policy as the users it is for: what passes, what is refused, and that the refusal says what to do."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.cluster.fixtures_operator import Manifest
from tests.cluster.people import ADMIN, EDITOR, GITOPS, OWNER, POOL_ADMIN, TENANT, People, edited
from tests.harness.rig import OPERATOR_NAMESPACE, SERVICE_ACCOUNT, Rig, policies
from tests.localkube.waiting import wait_until

FOREIGN_LOGIN = "spec refers to Secret login, which you (tenant) may not get in namespace"
MANAGED = "is managed by the makini operator: change the MakiniConnection instead"
LOOKS_LIKE_OURS = "label makini.io/managed-by: operator marks what the makini operator made: leave it out"
NO_CRONJOBS = "spec.workflows runs pods, and you (tenant) may not create CronJobs in namespace"
NOT_YOUR_STATUS = "status holds the credits and the connection's id, so only the operator writes it"
STAYS_PAID = "stays open, paid, and with a token that works"
PROTECTED = "remove the annotation makini.io/protect first"
MARKS_WORKFLOWS = "marks the workflows and syncs of a MakiniConnection"
HOLDS_TOKEN = "holds the token of MakiniConnection acme, and this pod is none of its workflows"  # noqa: S105 - a message
GO_TOGETHER = "has made goes with it: delete it without orphaning that"
FINALIZER = "makini.io/disconnect"
OURS = {"makini.io/managed-by": "operator"}
WORKFLOW = {"makini.io/connection": "acme"}


@pytest.fixture
def people(installed: Rig, namespace: str) -> Iterator[People]:
    made = People(installed, namespace)
    installed.apply(made.secret("login"), made.secret("other"))
    yield made
    for item in made.get("mconn")["items"]:
        where = ("mconn", item["metadata"]["name"], "-n", namespace)
        empty = '{"metadata":{"finalizers":null,"annotations":{"makini.io/protect":null}}}'
        installed.cluster.kubectl("patch", *where, "--type=merge", "-p", empty)


@pytest.fixture
def acme(people: People) -> Manifest:
    """A connection that somebody with all rights made."""
    people.rig.apply(people.connection("acme"))
    return people.get("mconn", "acme")


def patched(kind: str, name: str, patch: Manifest, *options: str) -> tuple[str, ...]:
    return ("patch", kind, name, "--type=merge", "-p", json.dumps(patch), *options)


# --- references ------------------------------------------------------------------------------------------------------


def test_no_policy_has_an_expression_that_the_server_warns_about(installed: Rig) -> None:
    names = {policy["metadata"]["name"] for policy in policies()}

    def checked() -> list[Manifest] | None:
        found = installed.get("validatingadmissionpolicies")["items"]
        ours = [policy for policy in found if policy["metadata"]["name"] in names]
        return ours if all("typeChecking" in policy.get("status", {}) for policy in ours) else None

    for policy in wait_until(checked, 30, "the server to check the types of all policies"):
        assert policy["status"]["typeChecking"] == {}, policy["metadata"]["name"]


@pytest.mark.parametrize(
    "how", [("create",), ("create", "--save-config"), ("apply", "--server-side"), ("apply",)], ids=" ".join
)
def test_a_connection_may_refer_only_to_a_secret_that_its_writer_may_get(people: People, how: tuple[str, ...]) -> None:
    assert FOREIGN_LOGIN in people.says(TENANT, *how, manifest=people.connection("acme"))
    people.grant(TENANT, "", "secrets", "get", "login")
    said = people.says(TENANT, *how, manifest=people.connection("acme"))
    assert "may not" not in said
    assert people.get("mconn", "acme")
    assert "refers to Secret other" in people.says(TENANT, *how, manifest=people.connection("second", "other"))


def test_a_generated_name_hides_nothing(people: People) -> None:
    manifest = people.connection("unused")
    manifest["metadata"] = {"generateName": "acme-", "namespace": people.namespace}
    assert FOREIGN_LOGIN in people.says(TENANT, "create", manifest=manifest)
    assert people.says(EDITOR, "create", manifest=manifest) == ""


@pytest.mark.parametrize("user", [EDITOR, ADMIN, OWNER, GITOPS])
def test_who_may_get_the_secret_anyway_needs_nothing_more(people: People, user: str) -> None:
    assert people.says(user, "create", manifest=people.connection("acme")) == ""


def test_only_what_a_change_newly_refers_to_is_looked_at(people: People, acme: Manifest) -> None:
    for harmless in ({"connected": False}, {"metadata": {"plan": "gold"}}, {"token": {"secretName": "elsewhere"}}):
        assert people.says(TENANT, *patched("mconn", "acme", {"spec": harmless})) == ""
    stolen = {"authorization": {"credentials": {"secretRef": {"name": "other"}}}}
    refusal = "spec refers to Secret other, which you (tenant) may not get"
    assert refusal in people.says(TENANT, *patched("mconn", "acme", {"spec": stolen}))
    assert refusal in people.says(TENANT, "replace", manifest=edited(people.get("mconn", "acme"), **stolen))
    applied = people.connection("acme", "other")
    assert refusal in people.says(TENANT, "apply", "--server-side", "--force-conflicts", manifest=applied)
    assert people.get("mconn", "acme")["spec"]["authorization"] == acme["spec"]["authorization"]


def workflow(name: str = "flow", image: str = "example.com/work:1", **change: Any) -> Manifest:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "work", "image": image}]}}
    return {"name": name, "schedule": "0 6 * * *", "jobTemplate": {"spec": {"template": template}}} | change


RUNS_SOMETHING_NEW = {
    "first": [workflow(), workflow("second", suspend=True), workflow("third")],
    "image": [workflow(image="example.com/other:1"), workflow("second", suspend=True)],
    "schedule": [workflow(schedule="* * * * *"), workflow("second", suspend=True)],
    "time zone": [workflow(timeZone="Asia/Tokyo"), workflow("second", suspend=True)],
    "resumed": [workflow(), workflow("second")],
    "swapped names": [workflow("second"), workflow("flow", suspend=True)],
    "suspended and other": [workflow(image="example.com/other:1", suspend=True), workflow("second", suspend=True)],
}
RUNS_NOTHING_NEW = {
    "suspended": [workflow(suspend=True), workflow("second", suspend=True)],
    "said to run": [workflow(suspend=False), workflow("second", suspend=True)],
    "left out": [workflow("second", suspend=True)],
    "none": None,
}


def test_workflows_need_the_right_to_create_cronjobs(people: People) -> None:
    people.grant(TENANT, "", "secrets", "get", "login")
    with_one = people.connection("acme", workflows=[workflow()])
    generated = with_one | {"metadata": {"generateName": "acme-", "namespace": people.namespace}}
    for how, manifest in ((("create",), with_one), (("create",), generated), (("apply", "--server-side"), with_one)):
        assert NO_CRONJOBS in people.says(TENANT, *how, manifest=manifest)
    people.grant(TENANT, "batch", "cronjobs", "create")
    assert people.says(TENANT, "create", manifest=with_one) == ""


@pytest.mark.parametrize("user", [EDITOR, ADMIN, OWNER, GITOPS])
def test_who_may_create_cronjobs_anyway_needs_nothing_more_for_workflows(people: People, user: str) -> None:
    assert people.says(user, "create", manifest=people.connection("acme", workflows=[workflow()])) == ""


def test_only_what_a_workflow_newly_runs_is_looked_at(people: People) -> None:
    people.rig.apply(people.connection("acme", workflows=[workflow(), workflow("second", suspend=True)]))
    stored = people.get("mconn", "acme")
    dry = "--dry-run=server"
    for case, workflows in RUNS_SOMETHING_NEW.items():
        change = {"spec": {"workflows": workflows}}
        assert NO_CRONJOBS in people.says(TENANT, *patched("mconn", "acme", change)), case
        assert NO_CRONJOBS in people.says(TENANT, "replace", manifest=edited(stored, workflows=workflows)), case
    for case, workflows in RUNS_NOTHING_NEW.items():
        assert people.says(TENANT, *patched("mconn", "acme", {"spec": {"workflows": workflows}}, dry)) == "", case
    for harmless in ({"suspend": True}, {"suspend": False}, {"connected": False}):
        assert people.says(TENANT, *patched("mconn", "acme", {"spec": harmless})) == ""


def test_as_many_workflows_as_there_may_be_are_compared(people: People) -> None:
    """Comparing them must not cost more than the API server spends on a policy."""
    environment = [{"name": f"VARIABLE_{number}", "value": "x" * 100} for number in range(50)]
    many = [workflow(f"flow-{number}") for number in range(16)]
    for flow in many:
        flow["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"] = environment
    people.rig.apply(people.connection("acme", workflows=many))
    suspended = [flow | {"suspend": True} for flow in reversed(many)]
    assert people.says(TENANT, *patched("mconn", "acme", {"spec": {"workflows": suspended}})) == ""
    one = [*many[:-1], many[-1] | {"schedule": "* * * * *"}]
    assert NO_CRONJOBS in people.says(TENANT, *patched("mconn", "acme", {"spec": {"workflows": one}}))


def test_a_pool_may_refer_only_to_account_secrets_that_its_writer_may_get(people: People) -> None:
    name = f"pool-{people.namespace}"
    url = "https://evil.example"
    account: Manifest = {"credentialsSecretRef": {"name": "account-a"}}
    pool: Manifest = {
        "apiVersion": "makini.io/v1beta1",
        "kind": "CreditPool",
        "metadata": {"name": name},
        "spec": {"credits": 1, "account": account},
    }
    refusal = (
        f"spec.account refers to Secret account-a, which you (pool-admin) may not get in namespace {OPERATOR_NAMESPACE}"
    )
    assert refusal in people.says(POOL_ADMIN, "create", manifest=pool)
    people.rig.apply(pool)
    try:
        assert people.says(POOL_ADMIN, *patched("cpool", name, {"spec": {"credits": 2, "hold": True}})) == ""
        assert refusal in people.says(POOL_ADMIN, *patched("cpool", name, {"spec": {"account": {"url": url}}}))
        in_operators = People(people.rig, OPERATOR_NAMESPACE)
        in_operators.grant(POOL_ADMIN, "", "secrets", "get", "account-a")
        sandbox = {"url": url, "credentialsSecretRef": {"name": "account-b"}}
        change = {"spec": {"account": {"url": url, "sandbox": sandbox}}}
        said = people.says(POOL_ADMIN, *patched("cpool", name, change))
        assert "spec.account.sandbox refers to Secret account-b, which you (pool-admin) may not get" in said
        assert people.says(POOL_ADMIN, *patched("cpool", name, {"spec": {"account": {"url": url}}})) == ""
    finally:
        not_the_operators = f"--field-selector=metadata.name!={SERVICE_ACCOUNT}"
        for kind in ("role", "rolebinding"):
            people.rig.cluster.kubectl("delete", kind, not_the_operators, "-n", OPERATOR_NAMESPACE)
        people.rig.cluster.kubectl("delete", "cpool", name)


# --- status ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [OWNER, GITOPS])
def test_only_the_operator_writes_status(people: People, acme: Manifest, user: str) -> None:
    forged = {"status": {"connectionID": "somebody-elses"}}
    full = people.connection("acme") | forged
    assert NOT_YOUR_STATUS in people.says(user, *patched("mconn", "acme", forged, "--subresource=status"))
    assert NOT_YOUR_STATUS in people.says(user, "replace", "--subresource=status", manifest=acme | forged)
    assert NOT_YOUR_STATUS in people.says(
        user, "apply", "--server-side", "--subresource=status", "--field-manager=thief", manifest=full
    )
    assert "connectionID" not in people.get("mconn", "acme")["status"]
    assert people.operator_says(*patched("mconn", "acme", forged, "--subresource=status")) == ""


def test_nobody_else_writes_a_pools_status(people: People) -> None:
    name = f"pool-{people.namespace}"
    spec = {"credits": 1, "account": {"credentialsSecretRef": {"name": "a"}}}
    meta = {"name": name}
    people.rig.apply({"apiVersion": "makini.io/v1beta1", "kind": "CreditPool", "metadata": meta, "spec": spec})
    books = {"status": {"credits": {"total": 99, "held": 0, "available": 99, "waiting": 0}}}
    for user in (GITOPS, POOL_ADMIN):
        said = people.says(user, *patched("cpool", name, books, "--subresource=status"))
        assert NOT_YOUR_STATUS in said or 'User "pool-admin" cannot' in said
    assert people.operator_says(*patched("cpool", name, books, "--subresource=status")) == ""
    people.rig.cluster.kubectl("delete", "cpool", name)


@pytest.mark.parametrize("user", [EDITOR, ADMIN])
def test_the_aggregated_roles_hold_connections_but_never_their_status(people: People, user: str) -> None:
    assert people.says(user, "create", manifest=people.connection("acme")) == ""
    assert people.says(user, *patched("mconn", "acme", {"spec": {"connected": False}})) == ""
    forged = {"status": {"connectionID": "x"}}
    assert "forbidden" in people.says(user, *patched("mconn", "acme", forged, "--subresource=status"))
    assert people.says(user, "delete", "mconn", "acme") == ""


# --- finalizers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def held(people: People, acme: Manifest) -> Manifest:
    """The connection with the operator's finalizer and one of somebody else's."""
    finalizers = [FINALIZER, "example.com/theirs"]
    people.rig.apply(acme | {"metadata": {"name": "acme", "namespace": people.namespace, "finalizers": finalizers}})
    return people.get("mconn", "acme")


@pytest.mark.parametrize("user", [TENANT, ADMIN])
@pytest.mark.parametrize("deleting", [False, True])
def test_the_operators_finalizer_is_not_for_others_to_take_off(
    people: People, held: Manifest, user: str, *, deleting: bool
) -> None:
    if deleting:
        assert people.says(user, "delete", "mconn", "acme", "--wait=false") == ""
        held = people.get("mconn", "acme")
    none = {"metadata": {"finalizers": None}}
    assert STAYS_PAID in people.says(user, *patched("mconn", "acme", none))
    stripped = held | {"metadata": held["metadata"] | {"finalizers": ["example.com/theirs"]}}
    assert STAYS_PAID in people.says(user, "replace", manifest=stripped)
    ours = held | {"metadata": held["metadata"] | {"finalizers": [FINALIZER]}}
    assert people.says(user, "replace", manifest=ours) == ""
    assert people.get("mconn", "acme")["metadata"]["finalizers"] == [FINALIZER]


def test_who_may_abandon_may_take_it_off_that_connection(people: People, held: Manifest) -> None:
    people.rig.apply(people.connection("second"))
    second = people.get("mconn", "second")
    people.rig.apply(
        second | {"metadata": {"name": "second", "namespace": people.namespace, "finalizers": [FINALIZER]}}
    )
    none = {"metadata": {"finalizers": None}}
    people.grant(TENANT, "makini.io", "makiniconnections/abandon", "update", "acme")
    wait_until(lambda: people.says(TENANT, *patched("mconn", "acme", none)) == "", 10, "the right to be in force")
    assert "makini-operator abandon" in people.says(TENANT, *patched("mconn", "second", none))
    assert held["metadata"]["finalizers"][0] == FINALIZER


def test_a_pools_finalizer_needs_the_right_in_the_whole_cluster(people: People) -> None:
    name = f"pool-{people.namespace}"
    spec = {"credits": 1, "account": {"credentialsSecretRef": {"name": "a"}}}
    meta = {"name": name, "finalizers": ["makini.io/in-use"]}
    people.rig.apply({"apiVersion": "makini.io/v1beta1", "kind": "CreditPool", "metadata": meta, "spec": spec})
    none = patched("cpool", name, {"metadata": {"finalizers": None}})
    assert STAYS_PAID in people.says(POOL_ADMIN, *none)
    assert people.says(GITOPS, *none) == ""
    people.rig.cluster.kubectl("delete", "cpool", name)


# --- children --------------------------------------------------------------------------------------------------------


@pytest.fixture
def children(people: People, acme: Manifest) -> tuple[Manifest, Manifest]:
    """The token's Secret and a workflow's CronJob, as the operator makes them."""
    token = people.child(people.secret("acme-makini", token="token"), acme)  # noqa: S106
    cronjob = people.child(people.cronjob("acme-nightly", WORKFLOW), acme)
    for manifest in (token, cronjob):
        assert people.operator_says("create", manifest=manifest) == ""
    return people.get("secret", "acme-makini"), people.get("cronjob", "acme-nightly")


@pytest.mark.parametrize("user", [EDITOR, ADMIN, OWNER, GITOPS])
def test_children_are_changed_only_by_the_operator(
    people: People, children: tuple[Manifest, Manifest], user: str
) -> None:
    token, cronjob = children
    for kind, obj, change in (
        ("secret", token, {"data": {"token": "Zm9yZ2Vk"}}),
        ("cronjob", cronjob, {"spec": {"suspend": True}}),
    ):
        name = obj["metadata"]["name"]
        assert MANAGED in people.says(user, *patched(kind, name, change))
        assert MANAGED in people.says(user, "label", kind, name, "makini.io/managed-by-")
        for mark in (
            ("label", kind, name, "makini.io/connection=other", "--overwrite"),
            patched(kind, name, {"metadata": {"ownerReferences": None}}),
        ):
            said = people.says(user, *mark)
            assert MANAGED in said or MARKS_WORKFLOWS in said
        now = people.get(kind, name)  # a CronJob has a new version whenever its controller has looked at its schedule
        replaced = now | {key: now[key] | value for key, value in change.items()}
        assert MANAGED in people.says(user, "replace", manifest=replaced)
        bare = {"name": name, "namespace": people.namespace}
        applied = {key: obj[key] for key in ("apiVersion", "kind")} | {"metadata": bare} | change
        assert MANAGED in people.says(user, "apply", "--server-side", "--force-conflicts", manifest=applied)
        if kind == "cronjob" and user in (OWNER, GITOPS):
            by_status = patched(
                kind, name, {"metadata": {"labels": {"makini.io/managed-by": None}}}, "--subresource=status"
            )
            assert MANAGED in people.says(user, *by_status)
        assert people.says(user, "annotate", kind, name, "backup.example.com/at=today") == ""
        assert people.says(user, "label", kind, name, "team=erp") == ""
        assert people.says(user, "delete", kind, name) == ""


@pytest.mark.parametrize("user", [EDITOR, GITOPS])
def test_nobody_makes_what_looks_like_the_operators(people: People, user: str) -> None:
    fake = people.secret("fake")
    fake["metadata"]["labels"] = OURS
    generated = fake | {"metadata": {"generateName": "fake-", "namespace": people.namespace, "labels": OURS}}
    cronjob = people.cronjob("fake")
    cronjob["metadata"]["labels"] = OURS
    for how, manifest in (
        (("create",), fake),
        (("create",), generated),
        (("apply", "--server-side"), fake),
        (("create",), cronjob),
    ):
        assert LOOKS_LIKE_OURS in people.says(user, *how, manifest=manifest)
    assert MANAGED in people.says(user, "label", "secret", "login", "makini.io/managed-by=operator")
    assert people.says(user, "label", "secret", "login", "makini.io/managed-by=me") == ""


def test_controllers_are_not_hindered(people: People, children: tuple[Manifest, Manifest]) -> None:
    """The CronJob makes a Job, the Job a pod with the label; the garbage collector takes everything with its owner."""
    kubectl = people.rig.cluster.kubectl
    earlier = {"status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}}
    kubectl(
        *patched("cronjob", "acme-nightly", earlier, "--subresource=status"), "-n", people.namespace
    )  # a start was missed, so the controller catches up at once

    def pods() -> list[Manifest]:
        return people.get("pods", "-l", "makini.io/connection=acme")["items"]

    (pod,) = wait_until(pods, 30, lambda: kubectl("get", "events,jobs", "-n", people.namespace).stdout)
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"
    assert people.says(TENANT, "delete", "mconn", "acme") == ""
    # The garbage collector looks for new kinds of owners every 30 seconds.
    for kind in ("cronjob", "job", "pod"):
        wait_until(lambda kind=kind: people.get(kind)["items"] == [], 60, f"every {kind} to go with its connection")
    wait_until(lambda: "acme-makini" not in str(people.get("secret")), 60, "the token to go with its connection")
    assert children


def test_a_connection_does_not_go_without_its_children(people: People, children: tuple[Manifest, Manifest]) -> None:
    for how in (("acme",), ("--all",)):
        assert GO_TOGETHER in people.says(TENANT, "delete", "mconn", *how, "--cascade=orphan")
    assert people.says(TENANT, *patched("mconn", "acme", {"metadata": {"finalizers": ["orphan"]}})) == ""
    assert GO_TOGETHER in people.says(GITOPS, "delete", "mconn", "acme")
    assert people.says(TENANT, *patched("mconn", "acme", {"metadata": {"finalizers": None}})) == ""
    for user in (EDITOR, GITOPS):
        assert GO_TOGETHER in people.says(user, "delete", "cronjob", "acme-nightly", "--cascade=orphan")
    assert children


def test_other_jobs_may_be_orphaned(people: People) -> None:
    assert people.says(EDITOR, "create", manifest=people.job("plain")) == ""
    assert people.says(EDITOR, "delete", "job", "plain", "--cascade=orphan") == ""


def test_the_garbage_collector_may_take_owners_off(people: People, children: tuple[Manifest, Manifest]) -> None:
    collector = "system:serviceaccount:kube-system:generic-garbage-collector"
    for child in children:
        name = child["metadata"]["name"]
        free = patched(child["kind"].lower(), name, {"metadata": {"ownerReferences": None}})
        assert people.says(collector, *free) == ""


# --- the operator's fence --------------------------------------------------------------------------------------------


def test_the_operator_works_freely_on_what_it_made(people: People, children: tuple[Manifest, Manifest]) -> None:
    for obj, change in zip(children, ({"data": {"token": "bmV3"}}, {"spec": {"suspend": True}}), strict=True):
        kind, name = obj["kind"].lower(), obj["metadata"]["name"]
        assert people.operator_says(*patched(kind, name, change)) == ""
        assert people.operator_says("delete", kind, name) == ""


def test_the_operator_repairs_a_label_that_somebody_stripped(
    people: People, children: tuple[Manifest, Manifest]
) -> None:
    token, _ = children
    people.rig.cluster.kubectl("label", "secret", "acme-makini", "makini.io/managed-by-", "-n", people.namespace)
    assert people.operator_says("label", "secret", "acme-makini", "makini.io/managed-by=operator") == ""
    assert token["metadata"]["labels"] == people.get("secret", "acme-makini")["metadata"]["labels"]


def test_the_operator_cannot_touch_what_is_not_its_own(people: People, acme: Manifest) -> None:
    own, spec = "touches only a Secret that it made", "spec is people's: the operator writes only status"
    adopt = people.child(people.secret("login"), acme)
    account_token = people.child(people.secret("robot"), acme) | {"type": "kubernetes.io/service-account-token"}
    account_token["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    labelled = people.secret("labelled")
    labelled["metadata"]["labels"] = OURS
    people.rig.apply(people.cronjob("theirs"), people.pod("theirs"))
    cases: list[tuple[str, tuple[str, ...], Manifest | None]] = [
        (own, ("create",), people.secret("new")),
        (own, ("create",), labelled),
        (own, ("create",), people.child(people.secret("new"), acme, label=False)),
        (own, ("apply", "--server-side", "--force-conflicts"), adopt),
        (own, patched("secret", "login", {"data": {"login": "eA=="}}), None),
        (own, ("delete", "secret", "login"), None),
        (own, ("create",), people.secret("makini-installation")),
        ("never one that holds a ServiceAccount's token", ("create",), account_token),
        ("touches only a CronJob that it made", ("create",), people.cronjob("new")),
        ("touches only a CronJob that it made", patched("cronjob", "theirs", {"spec": {"suspend": True}}), None),
        ("touches only a CronJob that it made", ("delete", "cronjob", "theirs"), None),
        ("makes no Pod", ("create",), people.pod("new")),
        ("makes no Pod", ("create",), people.pod("new", WORKFLOW)),
        ("makes no Job", ("create",), people.job("new")),
        ("ends only those of its own workflows", ("delete", "pod", "theirs", "--wait=false"), None),
        (spec, patched("mconn", "acme", {"spec": {"connected": False}}), None),
        (spec, ("delete", "mconn", "acme"), None),
        (spec, ("create",), people.connection("new")),
    ]
    for fragment, what, manifest in cases:
        assert fragment in people.operator_says(*what, manifest=manifest), what
    assert people.operator_says(*patched("mconn", "acme", {"metadata": {"finalizers": [FINALIZER]}})) == ""


def test_the_operator_keeps_its_installation_secret_but_never_deletes_it(people: People) -> None:
    there = people.rig.cluster.kubectl("get", "secret", "makini-installation", "-n", OPERATOR_NAMESPACE, check=False)
    secret = people.secret("makini-installation", OPERATOR_NAMESPACE)
    if there.returncode:
        assert people.operator_says("create", "--dry-run=server", manifest=secret) == ""
    said = people.operator_says("create", "--dry-run=server", manifest=people.secret("another", OPERATOR_NAMESPACE))
    assert "touches only a Secret that it made" in said
    people.rig.cluster.kubectl("apply", "-f", "-", input=json.dumps(people.secret("kept", OPERATOR_NAMESPACE)))
    said = people.operator_says("delete", "secret", "kept", "-n", OPERATOR_NAMESPACE)
    assert "touches only a Secret that it made" in said
    people.rig.cluster.kubectl("delete", "secret", "kept", "-n", OPERATOR_NAMESPACE)


# --- protection ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [TENANT, OWNER, GITOPS])
def test_a_protected_connection_is_not_deleted(people: People, acme: Manifest, user: str) -> None:
    assert people.says(user, "annotate", "mconn", "acme", "makini.io/protect=true") == ""
    for what in (("acme",), ("--all",), ("acme", "--cascade=foreground"), ("acme", "--force", "--grace-period=0")):
        assert PROTECTED in people.says(user, "delete", "mconn", *what)
    assert people.says(user, "annotate", "mconn", "acme", "makini.io/protect-") == ""
    assert people.says(user, "delete", "mconn", "acme") == ""
    assert acme


def test_a_protected_pool_is_not_deleted(people: People) -> None:
    name = f"pool-{people.namespace}"
    spec = {"credits": 1, "account": {"credentialsSecretRef": {"name": "a"}}}
    meta = {"name": name, "annotations": {"makini.io/protect": "true"}}
    people.rig.apply({"apiVersion": "makini.io/v1beta1", "kind": "CreditPool", "metadata": meta, "spec": spec})
    assert PROTECTED in people.says(POOL_ADMIN, "delete", "cpool", name)
    assert people.says(POOL_ADMIN, "annotate", "cpool", name, "makini.io/protect-") == ""
    assert people.says(POOL_ADMIN, "delete", "cpool", name) == ""


def test_protection_does_not_hold_a_namespace(people: People, installed: Rig) -> None:
    kubectl = installed.cluster.kubectl
    name = f"{people.namespace}-gone"
    kubectl("create", "namespace", name)
    manifest = people.connection("acme")
    manifest["metadata"] = {"name": "acme", "namespace": name, "annotations": {"makini.io/protect": "true"}}
    installed.apply(manifest)
    kubectl("delete", "namespace", name, "--timeout=30s")
    assert kubectl("get", "namespace", name, check=False).returncode != 0


# --- the label of workflows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [EDITOR, OWNER, GITOPS])
def test_only_workflows_carry_their_label(people: People, children: tuple[Manifest, Manifest], user: str) -> None:
    labelled_job, labelled_cronjob = people.job("fake"), people.cronjob("fake")
    for manifest in (labelled_job, labelled_cronjob):
        manifest["metadata"]["labels"] = WORKFLOW
    generated = people.pod("unused", WORKFLOW)
    generated["metadata"] = {"generateName": "fake-", "namespace": people.namespace, "labels": WORKFLOW}
    for fragment, manifest in (
        (MARKS_WORKFLOWS, people.pod("fake", WORKFLOW)),
        (MARKS_WORKFLOWS, generated),
        (MARKS_WORKFLOWS, labelled_job),
        (MARKS_WORKFLOWS, labelled_cronjob),
        (MARKS_WORKFLOWS, people.job("fake", WORKFLOW)),
        (MARKS_WORKFLOWS, people.cronjob("fake", WORKFLOW)),
    ):
        assert fragment in people.says(user, "create", manifest=manifest)
    from_ours = people.says(user, "create", "job", "by-hand", "--from=cronjob/acme-nightly")
    assert MARKS_WORKFLOWS in from_ours
    assert people.says(user, "create", manifest=people.pod("plain")) == ""
    assert MARKS_WORKFLOWS in people.says(user, "label", "pod", "plain", "makini.io/connection=acme")
    assert people.says(user, "label", "pod", "plain", "team=erp") == ""
    assert people.says(user, "create", manifest=people.job("plain")) == ""
    assert children


def test_a_workflow_pod_keeps_its_label(people: People, acme: Manifest) -> None:
    job = "system:serviceaccount:kube-system:job-controller"
    assert people.says(job, "create", manifest=people.pod("work", WORKFLOW)) == ""
    for change in ("makini.io/connection-", "makini.io/connection=other"):
        assert MARKS_WORKFLOWS in people.says(EDITOR, "label", "pod", "work", change, "--overwrite")
    assert people.says(EDITOR, "delete", "pod", "work", "--wait=false") == ""
    assert acme


def test_what_the_disconnect_knows_a_run_by_stays_as_it_is(people: People, acme: Manifest) -> None:
    job = "system:serviceaccount:kube-system:job-controller"
    pod = people.child(people.pod("work", WORKFLOW | {"makini.io/workflow": "nightly"}), acme, label=False)
    assert people.says(job, "create", manifest=pod) == ""
    hidden = {"labels": {"makini.io/workflow": None}}
    for change, options in (
        (hidden, ()),
        (hidden, ("--subresource=status",)),
        ({"labels": {"makini.io/connection": None}}, ("--subresource=status",)),
        ({"ownerReferences": None}, ()),
        ({"labels": {"batch.kubernetes.io/controller-uid": "none"}}, ()),
    ):
        assert MARKS_WORKFLOWS in people.says(OWNER, *patched("pod", "work", {"metadata": change}, *options))
    assert people.says(OWNER, *patched("pod", "work", {"status": {"message": "x"}}, "--subresource=status")) == ""


def test_a_binding_gives_no_pod_the_label(people: People) -> None:
    """The labels of a Binding become the pod's."""
    assert people.says(OWNER, "create", manifest=people.pod("plain")) == ""
    target = {"apiVersion": "v1", "kind": "Node", "name": "nowhere"}
    meta = {"name": "plain", "namespace": people.namespace, "labels": WORKFLOW}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
    path = f"/api/v1/namespaces/{people.namespace}/pods/plain/binding"
    assert MARKS_WORKFLOWS in people.says(OWNER, "create", "--raw", path, manifest=binding)


def test_a_deployment_cannot_make_pods_with_the_label(people: People) -> None:
    labels = {"app": "thief"} | WORKFLOW
    template = {"metadata": {"labels": labels}, "spec": people.pod("x")["spec"]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "thief", "namespace": people.namespace},
        "spec": {"selector": {"matchLabels": {"app": "thief"}}, "template": template},
    }
    assert people.says(EDITOR, "create", manifest=deployment) == ""
    notes = lambda: [e["note"] for e in people.get("events.events.k8s.io")["items"]]  # noqa: E731
    wait_until(lambda: any(MARKS_WORKFLOWS in note for note in notes()), 30, notes)
    assert people.get("pods")["items"] == []


# --- token mounts ----------------------------------------------------------------------------------------------------

_VOLUME = {"name": "token", "secret": {"secretName": "acme-makini"}}
_PROJECTED = {"name": "token", "projected": {"sources": [{"secret": {"name": "acme-makini"}}]}}
_ENV = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "acme-makini", "key": "token"}}}
_FROM = {"secretRef": {"name": "acme-makini"}}
_WORK = {"name": "init", "image": "example.com/work:1"}
USES: dict[str, dict[str, Any]] = {
    "volume": {"volumes": [_VOLUME]},
    "projected": {"volumes": [_PROJECTED]},
    "env": {"container": {"env": [_ENV]}},
    "envFrom": {"container": {"envFrom": [_FROM]}},
    "init": {"initContainers": [_WORK | {"env": [_ENV]}]},
}


@pytest.mark.parametrize("use", USES)
def test_a_pod_that_uses_a_token_is_warned_about(people: People, acme: Manifest, use: str) -> None:
    manifest = people.pod("reader", **USES[use])
    said = lambda: people.says(EDITOR, "create", "--dry-run=server", manifest=manifest)  # noqa: E731
    warned = wait_until(lambda: said() if HOLDS_TOKEN in said() else "", 20, said)
    assert warned.startswith("Warning:")
    assert people.says(EDITOR, "create", manifest=people.pod("plain", volumes=[_other(_VOLUME)])) == ""
    assert acme


def test_a_debugging_container_that_uses_a_token_is_warned_about(people: People, acme: Manifest) -> None:
    assert people.says(EDITOR, "create", manifest=people.pod("plain")) == ""
    path = f"/api/v1/namespaces/{people.namespace}/pods/plain"
    pod = people.get("pod", "plain")
    pod["spec"]["ephemeralContainers"] = [_WORK | {"name": "debug", "env": [_ENV]}]

    def said() -> str:
        return people.says(OWNER, "replace", "--raw", f"{path}/ephemeralcontainers", manifest=pod)

    assert acme
    # `kubectl replace --raw` shows no warnings, so the enforced form has to show it.
    with enforced(people):
        wait_until(lambda: HOLDS_TOKEN in said(), 20, said)


def test_enforced_only_workflow_pods_use_a_token(people: People, acme: Manifest) -> None:
    job = "system:serviceaccount:kube-system:job-controller"
    assert acme
    with enforced(people):
        for use, spec in USES.items():
            refused_with(lambda spec=spec: people.says(EDITOR, "create", manifest=people.pod("reader", **spec)))
            assert HOLDS_TOKEN in people.says(job, "create", manifest=people.pod("stray", **spec)), use
        assert HOLDS_TOKEN in people.says(job, "create", manifest=people.pod("w", {"team": "x"}, volumes=[_VOLUME]))
        assert people.says(job, "create", manifest=people.pod("work", WORKFLOW, volumes=[_VOLUME])) == ""
        assert people.says(EDITOR, "create", manifest=people.pod("plain", volumes=[_other(_VOLUME)])) == ""


def test_a_secret_of_another_name_is_a_token_too_when_the_connection_says_so(people: People) -> None:
    people.rig.apply(people.connection("acme", token={"secretName": "shared"}))
    volume = {"name": "token", "secret": {"secretName": "shared"}}
    with enforced(people):
        refused_with(lambda: people.says(EDITOR, "create", manifest=people.pod("reader", volumes=[volume])))


def refused_with(attempt: Callable[[], str]) -> None:
    wait_until(lambda: HOLDS_TOKEN in attempt() and "denied" in attempt(), 20, attempt)


class enforced:  # noqa: N801 - reads as a statement
    """The chart's policies.tokenMounts: Deny, for one namespace only."""

    def __init__(self, people: People) -> None:
        self._people, self._name = people, f"enforced-{people.namespace}"

    def __enter__(self) -> None:
        kind = "ValidatingAdmissionPolicyBinding"
        (binding,) = [p for p in policies() if p["kind"] == kind and p["metadata"]["name"] == "token-mounts.makini.io"]
        here = {"matchLabels": {"kubernetes.io/metadata.name": self._people.namespace}}
        spec = binding["spec"] | {
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": here},
        }
        self._people.rig.apply(binding | {"metadata": {"name": self._name}, "spec": spec})

    def __exit__(self, *_: object) -> None:
        self._people.rig.cluster.kubectl("delete", "validatingadmissionpolicybinding", self._name)


def _other(volume: Manifest) -> Manifest:
    return volume | {"secret": {"secretName": "other"}}


# --- syncs -----------------------------------------------------------------------------------------------------------

NO_CRONJOBS_FOR_SYNCS = "spec.syncs runs pods, and you (tenant) may not create CronJobs in namespace"
NO_SECRET = "spec.syncs loads with Secret {}, which you (tenant) may not get in namespace"  # noqa: S105 - a message
SYNC = {"makini.io/connection": "acme", "makini.io/sync": "orders"}
JOB_CONTROLLER = "system:serviceaccount:kube-system:job-controller"
CRONJOB_CONTROLLER = "system:serviceaccount:kube-system:cronjob-controller"
POSTGRES = {"postgres": {"credentialsSecretRef": {"name": "other", "key": "dsn"}}}
DUCKDB = {"duckdb": {"volumeClaimName": "history"}}


def in_s3(keys: str | None = "other", bucket: str = "history") -> Manifest:
    reference = {"credentialsSecretRef": {"name": keys}} if keys else {}
    return {"files": {"url": f"s3://{bucket}/acme"} | reference}


def sync(name: str = "orders", destination: Manifest = POSTGRES, **change: Any) -> Manifest:
    base = {"name": name, "schedule": "0 6 * * *", "entities": ["erp/purchase-orders"], "destination": destination}
    return base | change


COPIES_SOMETHING_NEW = {
    "first": [sync(), sync("second", suspend=True), sync("third")],
    "entities": [sync(entities=["erp/vendors"]), sync("second", suspend=True)],
    "schedule": [sync(schedule="* * * * *"), sync("second", suspend=True)],
    "time zone": [sync(timeZone="Asia/Tokyo"), sync("second", suspend=True)],
    "window": [sync(window="all"), sync("second", suspend=True)],
    "resources": [sync(resources={"limits": {"memory": "64Gi"}}), sync("second", suspend=True)],
    "destination": [sync(destination=DUCKDB), sync("second", suspend=True)],
    "resumed": [sync(), sync("second")],
    "swapped names": [sync("second"), sync("orders", suspend=True)],
    "suspended and other": [sync(window="all", suspend=True), sync("second", suspend=True)],
}
COPIES_NOTHING_NEW = {
    "suspended": [sync(suspend=True), sync("second", suspend=True)],
    "said to run": [sync(suspend=False), sync("second", suspend=True)],
    "another order": [sync("second", suspend=True), sync()],
    "left out": [sync("second", suspend=True)],
    "none": None,
}


def test_syncs_need_the_right_to_create_cronjobs_and_to_get_their_secret(people: People) -> None:
    may_get(people, "login")
    with_one = people.connection("acme", syncs=[sync(suspend=True)])
    generated = with_one | {"metadata": {"generateName": "acme-", "namespace": people.namespace}}
    ways = ((("create",), with_one), (("create",), generated), (("apply", "--server-side"), with_one))
    for how, manifest in ways:
        assert NO_CRONJOBS_FOR_SYNCS in people.says(TENANT, *how, manifest=manifest)
    people.grant(TENANT, "batch", "cronjobs", "create")
    for how, manifest in ways:
        assert NO_SECRET.format("other") in people.says(TENANT, *how, manifest=manifest)
    may_get(people, "login", "other")
    assert people.says(TENANT, "create", manifest=with_one) == ""


@pytest.mark.parametrize("user", [EDITOR, ADMIN, OWNER, GITOPS])
def test_who_may_do_both_anyway_needs_nothing_more_for_syncs(people: People, user: str) -> None:
    syncs = [sync(), sync("in-files", in_s3()), sync("on-a-volume", DUCKDB)]
    assert people.says(user, "create", manifest=people.connection("acme", syncs=syncs)) == ""


def test_only_what_a_sync_newly_copies_is_looked_at(people: People) -> None:
    people.rig.apply(people.connection("acme", syncs=[sync(), sync("second", suspend=True)]))
    stored = people.get("mconn", "acme")
    dry = "--dry-run=server"
    for case, syncs in COPIES_SOMETHING_NEW.items():
        change = {"spec": {"syncs": syncs}}
        assert NO_CRONJOBS_FOR_SYNCS in people.says(TENANT, *patched("mconn", "acme", change)), case
        assert NO_CRONJOBS_FOR_SYNCS in people.says(TENANT, "replace", manifest=edited(stored, syncs=syncs)), case
    for case, syncs in COPIES_NOTHING_NEW.items():
        assert people.says(TENANT, *patched("mconn", "acme", {"spec": {"syncs": syncs}}, dry)) == "", case
    for harmless in ({"suspend": True}, {"suspend": False}, {"healthPolicy": {"syncFailures": "Degrade"}}):
        assert people.says(TENANT, *patched("mconn", "acme", {"spec": harmless})) == ""


def test_only_a_destination_that_no_sync_had_needs_its_secret(people: People) -> None:
    people.rig.apply(people.connection("acme", syncs=[sync(), sync("in-files", in_s3())]))
    people.grant(TENANT, "batch", "cronjobs", "create")
    dry = "--dry-run=server"

    def said(*syncs: Manifest) -> str:
        return people.says(TENANT, *patched("mconn", "acme", {"spec": {"syncs": syncs}}, dry))

    for case, syncs in {
        "another schedule": [sync(schedule="* * * * *"), sync("in-files", in_s3())],
        "another name": [sync("vendors"), sync("in-files", in_s3())],
        "two with one destination": [sync(), sync("vendors", entities=["erp/vendors"]), sync("in-files", in_s3())],
        "no Secret": [sync("on-a-volume", DUCKDB), sync("in-files", in_s3(None))],
    }.items():
        assert said(*syncs) == "", case
    reference = POSTGRES["postgres"]
    for case, destination in {
        "another key": {"postgres": {"credentialsSecretRef": {"name": "other", "key": "admin"}}},
        "another schema": {"postgres": reference | {"dataset": "billing"}},
        "another bucket": in_s3(bucket="billing"),
    }.items():
        assert NO_SECRET.format("other") in said(sync(destination=destination)), case
    for destination in ({"postgres": {"credentialsSecretRef": {"name": "login", "key": "dsn"}}}, in_s3("login")):
        assert NO_SECRET.format("login") in said(sync(destination=destination))


def test_as_many_syncs_as_there_may_be_are_looked_at(people: People) -> None:
    """All of them at once, beside as many of everything else, must not cost more than the API server spends."""
    entities = entities_of_the_schema(people)[:40]
    names = [f"history-{number}" for number in range(16)]
    destinations = [{"postgres": {"credentialsSecretRef": {"name": name, "key": "dsn"}}} for name in names]
    many = [
        sync(f"sync-{number}", destination, entities=entities, window="2160h", timeZone="Europe/Berlin")
        for number, destination in enumerate(destinations)
    ]
    others = {
        "workflows": [workflow(f"flow-{number}") for number in range(16)],
        "token": {"rolloutRestart": [{"kind": "Deployment", "name": f"app-{number}"} for number in range(16)]},
    }
    assert people.says(EDITOR, "create", manifest=people.connection("acme", syncs=many, **others)) == ""
    moved = [one | {"schedule": "* * * * *", "entities": entities[::-1]} for one in reversed(many)]
    assert people.says(EDITOR, *patched("mconn", "acme", {"spec": {"syncs": moved}})) == ""
    people.grant(TENANT, "batch", "cronjobs", "create")
    second = people.connection("second", syncs=many)
    for known in (0, 7, 15):
        may_get(people, "login", *names[:known])
        said = people.says(TENANT, "create", "--dry-run=server", manifest=second)
        assert NO_SECRET.format(names[known]) in said
    may_get(people, "login", *names)
    assert people.says(TENANT, "create", "--dry-run=server", manifest=second) == ""


def may_get(people: People, *names: str) -> None:
    """The tenant may get these Secrets, as of now."""
    people.rig.apply(
        people.role("get-secrets", [""], ["secrets"], ["get"], list(names)),
        people.binding(TENANT, "Role", "get-secrets"),
    )
    people.until_allowed(TENANT, "get", "", "secrets", names[-1])


def entities_of_the_schema(people: People) -> list[str]:
    crd = people.rig.get("crd", "makiniconnections.makini.io")
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    found: list[str] = spec["syncs"]["items"]["properties"]["entities"]["items"]["enum"]
    return found


def sync_pod(**change: Any) -> Manifest:
    """A pod as the operator makes it for a sync."""
    safe = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "sync", "image": "example.com/sync:1", "securityContext": safe}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532},
        "containers": [container],
        "volumes": [{"name": "token", "secret": {"secretName": "acme-makini"}}, {"name": "work", "emptyDir": {}}],
    }
    return pod | change


def sync_cronjob(people: People, acme: Manifest, name: str = "acme-orders", **pod: Any) -> Manifest:
    made = people.child(people.cronjob(name, SYNC), acme)
    made["metadata"]["labels"] |= SYNC
    made["spec"]["suspend"] = True
    made["spec"]["jobTemplate"]["spec"]["template"]["spec"] = sync_pod(**pod)
    return made


def sync_job(people: People, cronjob: Manifest, name: str = "acme-orders-now", **pod: Any) -> Manifest:
    """The run that somebody asked for."""
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "controller": True}
    owner |= {key: cronjob["metadata"][key] for key in ("name", "uid")}
    made = people.job(name, SYNC)
    made["metadata"] |= {
        "labels": OURS | SYNC,
        "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
        "ownerReferences": [owner],
    }
    made["spec"]["template"]["spec"] = sync_pod(**pod)
    return made


@pytest.fixture
def orders(people: People, acme: Manifest) -> Manifest:
    """The CronJob of a sync, as the operator makes it."""
    assert people.operator_says("create", manifest=sync_cronjob(people, acme)) == ""
    return people.get("cronjob", "acme-orders")


_CAPABLE = {"allowPrivilegeEscalation": False, "capabilities": {"add": ["NET_RAW"]}}
_NODE = "the pod of a sync has nothing of its node, and no ServiceAccount's token"
_AS_ROOT = {"allowPrivilegeEscalation": False, "runAsNonRoot": False}
_ROOT = "the pod of a sync runs as a user other than root, without privileges"
UNSAFE: dict[str, tuple[str, Manifest]] = {
    "token of a ServiceAccount": (_NODE, {"automountServiceAccountToken": True}),
    "token by default": (_NODE, {"automountServiceAccountToken": None}),
    "token as a volume": (
        _NODE,
        {"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
    ),
    "network of the node": (_NODE, {"hostNetwork": True}),
    "processes of the node": (_NODE, {"hostPID": True}),
    "memory of the node": (_NODE, {"hostIPC": True}),
    "folder of the node": (_NODE, {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}),
    "root": (_ROOT, {"securityContext": {"runAsNonRoot": False}}),
    "root by default": (_ROOT, {"securityContext": None}),
    "root in a container": (_ROOT, {"containers": [{"name": "c", "image": "i", "securityContext": _AS_ROOT}]}),
    "capabilities": (_ROOT, {"containers": [{"name": "c", "image": "i", "securityContext": _CAPABLE}]}),
    "privileges by default": (_ROOT, {"containers": [{"name": "c", "image": "i"}]}),
    "an unsafe first container": (_ROOT, {"initContainers": [{"name": "c", "image": "i"}]}),
}


def test_the_operator_runs_only_safe_pods_for_syncs(people: People, acme: Manifest, orders: Manifest) -> None:
    dry = "--dry-run=server"
    for case, (refusal, pod) in UNSAFE.items():
        made = people.operator_says("create", dry, manifest=sync_cronjob(people, acme, "unsafe", **pod))
        assert refusal in made, case
        assert refusal in people.operator_says("create", dry, manifest=sync_job(people, orders, **pod)), case
        changed = edited(orders, jobTemplate=sync_cronjob(people, acme, **pod)["spec"]["jobTemplate"])
        assert refusal in people.operator_says("replace", dry, manifest=changed), case
    safe = {"volumes": [{"name": "history", "persistentVolumeClaim": {"claimName": "history"}}]}
    assert people.operator_says("create", dry, manifest=sync_cronjob(people, acme, "safe", **safe)) == ""
    assert people.operator_says("create", dry, manifest=sync_job(people, orders, **safe)) == ""


def test_the_operator_makes_no_job_but_that_of_a_sync(people: People, acme: Manifest, orders: Manifest) -> None:
    good = sync_job(people, orders)
    meta, (owner,) = good["metadata"], good["metadata"]["ownerReferences"]
    refusal = "makes no Job but that of a sync, with its labels and its CronJob as controller"
    for case, change in {
        "no owner": {"ownerReferences": []},
        "an owner that does not control": {"ownerReferences": [owner | {"controller": False}]},
        "another kind of owner": {"ownerReferences": [owner | {"kind": "Job"}]},
        "another API of that kind": {"ownerReferences": [owner | {"apiVersion": "example.com/v1"}]},
        "a connection as its owner": people.child(good, acme)["metadata"],
        "not the label of a sync": {"labels": OURS | WORKFLOW},
        "not the label of a connection": {"labels": OURS | {"makini.io/sync": "orders"}},
        "other labels": {"labels": {"team": "erp"}},
    }.items():
        said = people.operator_says("create", manifest=good | {"metadata": meta | change})
        assert refusal in said, case
    assert people.operator_says("create", manifest=good) == ""
    assert people.operator_says("delete", "job", "acme-orders-now") == ""
    pod = people.pod("acme-orders-now", SYNC) | {"spec": sync_pod()}
    pod["metadata"]["ownerReferences"] = [owner]
    assert "makes no Pod, and ends only those" in people.operator_says("create", manifest=pod)


def test_what_a_workflow_runs_is_the_tenants(people: People, acme: Manifest) -> None:
    made = people.child(people.cronjob("acme-nightly", WORKFLOW), acme)
    made["spec"]["jobTemplate"]["spec"]["template"]["spec"] |= {"hostNetwork": True}
    assert people.operator_says("create", "--dry-run=server", manifest=made) == ""


@pytest.mark.parametrize("user", [EDITOR, OWNER, GITOPS])
def test_only_syncs_carry_their_label(people: People, orders: Manifest, user: str) -> None:
    fake = sync_job(people, orders, "fake")
    fake["metadata"] = {"name": "fake", "namespace": people.namespace, "labels": SYNC}
    for manifest in (people.pod("fake", SYNC), fake, people.job("fake", SYNC), people.cronjob("fake", SYNC)):
        assert MARKS_WORKFLOWS in people.says(user, "create", manifest=manifest)
    assert MARKS_WORKFLOWS in people.says(user, "create", "job", "by-hand", "--from=cronjob/acme-orders")
    owners = sync_job(people, orders)["metadata"]["ownerReferences"]
    for label in ("makini.io/sync", "makini.io/workflow"):
        half = people.job("half")
        half["metadata"] |= {"labels": {label: "orders"}, "ownerReferences": owners}
        assert MARKS_WORKFLOWS in people.says(user, "create", manifest=half), label
    assert people.says(user, "create", manifest=people.job("plain", {"team": "erp"})) == ""
    assert MARKS_WORKFLOWS in people.says(user, "label", "job", "plain", "makini.io/sync=orders")
    assert people.says(user, "label", "job", "plain", "team=sync", "--overwrite") == ""
    assert people.says(JOB_CONTROLLER, "create", manifest=people.pod("work", SYNC)) == ""
    assert people.says(CRONJOB_CONTROLLER, "create", manifest=sync_job(people, orders, "scheduled")) == ""
    assert people.operator_says("create", manifest=sync_job(people, orders)) == ""
    for kind, name in (("pod", "work"), ("job", "scheduled"), ("job", "acme-orders-now")):
        for change in ("makini.io/sync-", "makini.io/sync=other", "makini.io/workflow=nightly"):
            assert MARKS_WORKFLOWS in people.says(user, "label", kind, name, change, "--overwrite"), (kind, change)
        free = {"metadata": {"ownerReferences": None}}
        if kind == "job":
            assert MARKS_WORKFLOWS in people.says(user, *patched(kind, name, free))
        assert people.says(user, "delete", kind, name, "--wait=false") == ""


def test_a_job_that_waits_keeps_the_marks_of_its_pods(people: People, orders: Manifest) -> None:
    """A suspended Job's template may be given other labels: its pods would then be known by less than it is."""
    meta = {"annotations": {"cronjob.kubernetes.io/instantiate": "manual"}}
    for name, marks, kept in (("sync", SYNC, "makini.io/sync"), ("flow", WORKFLOW | {"makini.io/workflow": "f"}, "")):
        made = sync_job(people, orders, name)
        made["metadata"] |= meta | {"labels": marks}
        made["spec"] |= {"suspend": True}
        made["spec"]["template"]["metadata"] = {"labels": marks}
        assert people.says(CRONJOB_CONTROLLER, "create", manifest=made) == ""
        for label in (kept or "makini.io/workflow", "makini.io/connection"):
            hidden = {"spec": {"template": {"metadata": {"labels": {label: None}}}}}
            assert MARKS_WORKFLOWS in people.says(OWNER, *patched("job", name, hidden)), (name, label)
        other = {"spec": {"template": {"metadata": {"labels": {"team": "erp"}}}}}
        assert people.says(OWNER, *patched("job", name, other)) == ""


@pytest.mark.parametrize("user", [EDITOR, GITOPS])
def test_a_syncs_cronjob_and_runs_are_changed_by_nobody_and_orphaned_by_nobody(
    people: People, orders: Manifest, user: str
) -> None:
    assert MANAGED in people.says(user, *patched("cronjob", "acme-orders", {"spec": {"suspend": False}}))
    assert people.operator_says("create", manifest=sync_job(people, orders)) == ""
    for kind, name in (("job", "acme-orders-now"), ("cronjob", "acme-orders")):
        assert GO_TOGETHER in people.says(user, "delete", kind, name, "--cascade=orphan")
        assert people.says(user, "delete", kind, name) == ""


def test_enforced_a_syncs_pods_use_the_token(people: People, acme: Manifest) -> None:
    pod = people.pod("run", SYNC) | {"spec": sync_pod()}
    lone = people.pod("lone", {"makini.io/sync": "orders"}) | {"spec": sync_pod()}
    assert acme
    with enforced(people):
        refused_with(lambda: people.says(EDITOR, "create", manifest=lone))
        assert HOLDS_TOKEN in people.says(JOB_CONTROLLER, "create", manifest=lone)
        assert people.says(JOB_CONTROLLER, "create", manifest=pod) == ""


# --- where syncs may go ---------------------------------------------------------------------------------------------

NO_POLICIES = "spec.syncEgress is a NetworkPolicy, and you (tenant) may not create NetworkPolicies in namespace"
NARROW = [{"cidr": "203.0.113.0/24", "ports": [443]}, {"cidr": "2001:db8::/64"}]


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
        EDITOR, "create", manifest=people.connection("acme", syncs=[sync(destination=DUCKDB)], syncEgress=[network])
    )


def test_whoever_says_where_syncs_may_go_needs_the_right_to_write_such_policies(people: People) -> None:
    people.grant(TENANT, "batch", "cronjobs", "create")
    may_get(people, "login")
    fenced = people.connection("acme", syncs=[sync(destination=DUCKDB)], syncEgress=NARROW)
    assert NO_POLICIES in people.says(TENANT, "create", manifest=fenced)
    people.rig.apply(fenced)

    def said(**spec: Any) -> str:
        return people.says(TENANT, *patched("mconn", "acme", {"spec": spec}, "--dry-run=server"))

    assert NO_POLICIES in said(syncEgress=None)
    assert NO_POLICIES in said(syncEgress=[{"cidr": "0.0.0.0/0"}])
    assert said(suspend=True) == said(syncEgress=NARROW) == ""
    people.grant(TENANT, "networking.k8s.io", "networkpolicies", "create")
    assert said(syncEgress=[{"cidr": "0.0.0.0/0"}]) == ""


def of_syncs(people: People, owner: Manifest, **spec: Any) -> Manifest:
    selector = {
        "matchLabels": {"makini.io/connection": owner["metadata"]["name"]},
        "matchExpressions": [
            {"key": "makini.io/sync", "operator": "Exists"},
            {"key": "makini.io/workflow", "operator": "DoesNotExist"},
        ],
    }
    meta = {"name": "acme-syncs", "namespace": people.namespace}
    made = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta}
    return people.child(made | {"spec": {"podSelector": selector, "policyTypes": ["Egress"]} | spec}, owner)


def test_the_operator_writes_policies_for_sync_pods_only_and_nobody_changes_them(
    people: People, acme: Manifest
) -> None:
    good = of_syncs(people, acme)
    dry = "--dry-run=server"
    for wide in ({"podSelector": {}}, {"podSelector": {"matchLabels": {"makini.io/connection": "acme"}}}):
        said = people.operator_says("create", dry, manifest=of_syncs(people, acme, **wide))
        assert "makes NetworkPolicies only for the pods of syncs" in said
    foreign = good | {"metadata": {key: good["metadata"][key] for key in ("name", "namespace", "labels")}}
    assert "touches only a NetworkPolicy that it made" in people.operator_says("create", dry, manifest=foreign)
    assert people.operator_says("create", manifest=good) == ""
    for user in (EDITOR, OWNER, GITOPS):
        assert MANAGED in people.says(user, *patched("netpol", "acme-syncs", {"spec": {"egress": [{}]}}))
        assert people.says(user, "delete", "netpol", "acme-syncs", dry) == ""
