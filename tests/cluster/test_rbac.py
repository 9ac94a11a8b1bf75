"""Every right of the operator is needed: each one is taken away in turn, and what then breaks is plain to see.

A row says what is tried without that right and where its absence shows: in the status, in the log, at /healthz, or
by the end of the process. A right in files/cluster-rules.yaml without a row fails the test, and so does a row
without a right.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import yaml
from tests.cluster import push_secrets
from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.cluster.tokens import ROTATE, ask, workload
from tests.harness import Rig, Sandbox
from tests.harness.rig import CHART_FILES, OPERATOR_USER, RBAC, SERVICE_ACCOUNT
from tests.localkube import LocalKube
from tests.localkube.ports import free_port
from tests.localkube.waiting import wait_until

from makini_operator.lifecycle.requests import SYNCS
from makini_operator.lifecycle.sync_view import SyncAsk
from makini_operator.manifests.workflow import workflow_name
from makini_operator.resources.connection import MakiniConnection

CRONJOB_CONTROLLER = "system:serviceaccount:kube-system:cronjob-controller"
Rules = list[dict[str, Any]]


class Right(NamedTuple):
    """One verb on one resource, as the log words it."""

    verb: str
    resource: str

    @property
    def refusal(self) -> str:
        return f'cannot {self.verb} resource "{self.resource}"'


def rules() -> Rules:
    found: Rules = yaml.safe_load((CHART_FILES / "cluster-rules.yaml").read_text())
    return found


def rights() -> list[Right]:
    return [Right(verb, resource) for rule in rules() for resource in rule["resources"] for verb in rule["verbs"]]


def without(right: Right) -> Rules:
    """All rules but this right; a rule for several resources is taken apart."""
    kept = []
    for rule in rules():
        for resource in rule["resources"]:
            verbs = [verb for verb in rule["verbs"] if (verb, resource) != right]
            if verbs:
                kept.append(rule | {"resources": [resource], "verbs": verbs})
    return kept


class Stage:
    """An operator with a pool, and ways to take its rights."""

    def __init__(self, rig: Rig, sandbox: Sandbox, namespace: str) -> None:
        self.rig, self.namespace = rig, namespace
        self.world = World(rig, sandbox, namespace)
        self.health = f"127.0.0.1:{free_port()}"
        self.pools: list[str] = []
        self._names = iter(range(100))
        self._said = 0

    # --- the operator ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.rig.start_operator("--account-relist", "2", "--sync-image", "sync:1", "--health", self.health)

    def start_blind(self) -> None:
        """Start it without waiting until it has read the cluster."""
        self.rig.operator = self.rig._operator_process(
            "--account-relist", "2", "--sync-image", "sync:1", "--health", self.health
        )
        self.rig.operator.start()

    def stop(self) -> None:
        if self.rig.operator.is_running:
            self.rig.operator.stop()

    @contextmanager
    def lacking(self, right: Right) -> Iterator[None]:
        """Without this right, until the end of the block."""
        self._grant(without(right))
        self._until_allowed(right, allowed=False)
        try:
            yield
        finally:
            self._grant(rules())
            self._until_allowed(right, allowed=True)

    def log(self) -> str:
        return self.rig.operator.text()[self._said :]

    def mark(self) -> None:
        """What was logged before does not count."""
        self._said = len(self.rig.operator.text())

    def until_logged(self, *words: str) -> str:
        """The first line with all these words."""

        def line() -> str:
            return next((line for line in self.log().splitlines() if all(word in line for word in words)), "")

        return wait_until(line, 30, self._seen)

    def until_ended(self) -> str:
        """The last line of an operator that ends by itself."""
        wait_until(lambda: not self.rig.operator.is_running, 30, self._seen)
        assert self.rig.operator.stop() == 1
        return self.log().strip().splitlines()[-1]

    def until_unhealthy(self) -> str:
        def page() -> str:
            try:
                with urllib.request.urlopen(f"http://{self.health}/healthz", timeout=5):
                    return ""
            except urllib.error.HTTPError as error:
                with error:
                    return error.read().decode() if error.code == 503 else ""
            except OSError:
                return ""

        return wait_until(page, 30, self._seen)

    # --- connections -----------------------------------------------------------------------------------------------

    def new(self, **spec: Any) -> str:
        """Apply one more connection; returns its name."""
        name = f"c{next(self._names)}"
        self.world.apply(self.world.connection(name, **spec))
        return name

    def ready(self, **spec: Any) -> str:
        name = self.new(**spec)
        self.world.until_ready(name)
        return name

    def until_told(self, name: str, reason: str, right: Right) -> None:
        """Ready has this reason, and a message that names the right."""

        def told() -> bool:
            ready = condition(self.world.get(name), "Ready")
            return bool(ready["reason"] == reason and right.refusal in ready["message"])

        wait_until(told, 30, self._seen)

    def run(self, name: str, *, adrift: bool = False) -> None:
        """A run of its workflow, as the two controllers make it; `adrift`: only the pod can be known as one."""
        cron_name = workflow_name(MakiniConnection.parse(self.world.get(name)), "flow")
        cronjob = self.rig.get("cronjob", cron_name, "-n", self.namespace)
        template = cronjob["spec"]["jobTemplate"]
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": cron_name, "uid": cronjob["metadata"]["uid"]}
        known_by = {"labels": template["metadata"]["labels"], "ownerReferences": [owner | {"controller": True}]}
        meta = {"name": f"{cron_name}-1", "namespace": self.namespace} | ({} if adrift else known_by)
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]}
        who = (f"--as={CRONJOB_CONTROLLER}", "--as-group=system:masters")
        self.world.kubectl("create", "-f", "-", *who, input=json.dumps(job))
        selector = f"makini.io/connection={name}"
        wait_until(lambda: self.rig.get("pods", "-n", self.namespace, "-l", selector)["items"], 30, self._seen)

    def hold(self, kind: str, name: str, *, held: bool = True) -> None:
        """Keep an object from going when it is deleted, or let it go."""
        finalizers = ["example.com/hold"] if held else None
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        self.world.kubectl("patch", kind, name, "-n", self.namespace, "--type=merge", "-p", patch)

    # --- behind ----------------------------------------------------------------------------------------------------

    def _grant(self, allowed: Rules) -> None:
        meta = {"name": SERVICE_ACCOUNT}
        self.rig.apply({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": meta, "rules": allowed})

    def _until_allowed(self, right: Right, *, allowed: bool) -> None:
        rule = next(rule for rule in rules() if right.resource in rule["resources"])
        resource, _, subresource = right.resource.partition("/")
        asked = {"group": rule["apiGroups"][0], "resource": resource, "subresource": subresource, "verb": right.verb}
        asked["name"] = rule.get("resourceNames", [""])[0]
        groups = ["system:serviceaccounts", "system:authenticated"]
        spec = {"user": OPERATOR_USER, "groups": groups, "resourceAttributes": asked}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}

        def is_as_wanted() -> bool:
            path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
            _, text = self.rig.cluster.request("POST", path, body)
            return bool(json.loads(text)["status"]["allowed"]) is allowed

        wait_until(is_as_wanted, 20, "the authorizer to notice")

    def _seen(self) -> str:
        return self.log()[-4000:]


def workflow(schedule: str = "0 0 1 1 *") -> Manifest:
    pod = {"restartPolicy": "Never", "containers": [{"name": "work", "image": "example.com/work:1"}]}
    return {"name": "flow", "schedule": schedule, "jobTemplate": {"spec": {"template": {"spec": pod}}}}


# --- what breaks -----------------------------------------------------------------------------------------------------

Scenario = Callable[[Stage, Right], None]
"""Called with the right; takes it away, and sees what breaks."""


def does_not_start(stage: Stage, right: Right) -> None:
    """The process ends at once and says which right it lacks."""
    with stage.lacking(right):
        stage.start_blind()
        last = stage.until_ended()
    assert last.startswith("makini-operator: ")
    assert right.refusal in last


def is_not_healthy(stage: Stage, right: Right) -> None:
    """/healthz says 503, and the log says why."""
    with stage.lacking(right):
        stage.start_blind()
        stage.until_logged("the cluster could not be read", right.refusal)
        assert "the cluster has not been read yet" in stage.until_unhealthy()
        stage.rig.operator.kill()


def does_not_watch(stage: Stage, right: Right) -> None:
    """The log says so."""
    with stage.lacking(right):
        stage.start_blind()
        stage.until_logged(right.refusal)
        stage.rig.operator.kill()


Before = Callable[[Stage], str]
"""Makes a connection and returns its name; empty when none is needed."""
Cause = Callable[[Stage, str], str | None]
"""Does with that connection what needs the right; or makes one and returns its name."""


def nothing(_: Stage) -> str:
    return ""


def logs(cause: Cause, before: Before = nothing) -> Scenario:
    """The log names the right."""

    def scenario(stage: Stage, right: Right) -> None:
        name = before(stage)
        with stage.lacking(right):
            cause(stage, name)
            stage.until_logged(right.refusal)

    return scenario


def tells(reason: str, cause: Cause, before: Before = nothing) -> Scenario:
    """The status names the right."""

    def scenario(stage: Stage, right: Right) -> None:
        name = before(stage)
        with stage.lacking(right):
            name = cause(stage, name) or name
            stage.until_told(name, reason, right)

    return scenario


def connect(stage: Stage, _: str) -> str:
    return stage.new()


def connect_with_workflow(stage: Stage, _: str) -> str:
    return stage.new(workflows=[workflow()])


def disconnect(stage: Stage, name: str) -> None:
    stage.world.patch(name, {"connected": False})


def make_pool(stage: Stage, _: str) -> None:
    another = World(stage.rig, stage.world.sandbox, stage.namespace)
    another.make_pool()
    stage.pools.append(another.pool)


def relabel_secret(stage: Stage, name: str) -> None:
    stage.world.kubectl("label", "secret", f"{name}-makini", "makini.io/connection-", "-n", stage.namespace)


def reschedule(stage: Stage, name: str) -> None:
    stage.world.patch(name, {"workflows": [workflow("0 0 2 2 *")]})


def with_run(stage: Stage) -> str:
    """A Job whose CronJob stays for a while when it is deleted, so that the garbage collector is not faster."""
    name = with_workflow(stage)
    stage.run(name)
    cron = workflow_name(MakiniConnection.parse(stage.world.get(name)), "flow")
    stage.hold("cronjob", cron)
    return name


def with_workflow(stage: Stage) -> str:
    return stage.ready(workflows=[workflow()])


def with_run_adrift(stage: Stage) -> str:
    """A pod that does not go with its CronJob, so that the operator has to delete it."""
    name = with_workflow(stage)
    stage.run(name, adrift=True)
    return name


READER = {"serviceAccountName": "erp"}
STORE = {"name": "vault", "remoteKey": "acme", "secretStoreRef": {"kind": "SecretStore", "name": "vault"}}


def connect_with_readers(stage: Stage, _: str) -> str:
    return stage.new(token={"readers": [READER]})


def with_readers(stage: Stage) -> str:
    name = stage.ready(token={"readers": [READER]})
    selector = f"makini.io/connection={name}"
    wait_until(lambda: len(stage.rig.get("roles,rolebindings", "-n", stage.namespace, "-l", selector)["items"]) == 2)
    return name


def rename_secret(stage: Stage, name: str) -> None:
    stage.world.patch(name, {"token": {"secretName": f"{name}-renamed"}})


def another_reader(stage: Stage, name: str) -> None:
    stage.world.patch(name, {"token": {"readers": [READER, {"serviceAccountName": "web"}]}})


def with_workloads(kind: str) -> Before:
    def before(stage: Stage) -> str:
        stage.rig.apply(workload(kind, "app", stage.namespace))
        return stage.ready(token={"rolloutRestart": [{"kind": kind, "name": "app"}]})

    return before


def rotate(stage: Stage, name: str) -> None:
    ask(stage.world, ROTATE, name)


def connect_with_store(stage: Stage, _: str) -> str:
    push_secrets.install(stage.rig)
    return stage.new(token={"stores": [STORE]})


def with_store(stage: Stage) -> str:
    name = connect_with_store(stage, "")
    selector = f"makini.io/connection={name}"
    where = (push_secrets.NAME, "-n", stage.namespace, "-l", selector)
    found = wait_until(lambda: stage.rig.get(*where)["items"])
    push_secrets.answer(stage.world, found[0]["metadata"]["name"], ready=True)
    stage.world.until_ready(name)
    return name


def logs_after_a_conflict(stage: Stage, right: Right) -> None:
    """The log names the right when the operator has decided on an outdated version and has to read the newest."""
    path = f"/apis/makini.io/v1beta1/namespaces/{stage.namespace}/makiniconnections/{stage.ready()}"
    numbers = iter(range(100_000))

    def is_refused() -> bool:
        """Faster than it can decide and write."""
        for _ in range(20):
            obj = json.loads(stage.rig.cluster.request("GET", path)[1])
            obj["spec"]["metadata"] = {"number": str(next(numbers))}
            stage.rig.cluster.request("PUT", path, obj)
        return right.refusal in stage.log()

    with stage.lacking(right):
        wait_until(is_refused, 30, stage.log)


AS_THE_OPERATOR = (f"--as={OPERATOR_USER}", "--as-group=system:serviceaccounts", "--as-group=system:authenticated")


A_SYNC = {
    "name": "orders",
    "schedule": "0 0 1 1 *",
    "entities": ["erp/vendors"],
    "destination": {"duckdb": {"volumeClaimName": "history"}},
}


def ask_for_a_run(stage: Stage, name: str) -> None:
    ask(stage.world, SYNCS[SyncAsk.NOW], name)


def with_sync(stage: Stage) -> str:
    name = stage.ready(syncs=[A_SYNC])
    selector = f"makini.io/connection={name},makini.io/sync"
    wait_until(lambda: stage.rig.get("cronjobs", "-n", stage.namespace, "-l", selector)["items"])
    return name


def connect_with_egress(stage: Stage, _: str) -> str:
    return stage.new(syncs=[A_SYNC], syncEgress=[{"cidr": "10.0.0.0/8"}])


def with_egress(stage: Stage) -> str:
    name = stage.ready(syncs=[A_SYNC], syncEgress=[{"cidr": "10.0.0.0/8"}])
    selector = f"makini.io/connection={name}"
    wait_until(lambda: stage.rig.get("networkpolicies", "-n", stage.namespace, "-l", selector)["items"])
    return name


def another_network(stage: Stage, name: str) -> None:
    stage.world.patch(name, {"syncEgress": [{"cidr": "192.0.2.0/24"}]})


TABLE: dict[Right, Scenario] = {
    Right("get", "creditpools"): logs(make_pool),
    Right("list", "creditpools"): does_not_start,
    Right("watch", "creditpools"): does_not_watch,
    Right("patch", "creditpools"): logs(make_pool),
    Right("patch", "creditpools/status"): logs(make_pool),
    Right("get", "makiniconnections"): logs_after_a_conflict,
    Right("list", "makiniconnections"): does_not_start,
    Right("watch", "makiniconnections"): does_not_watch,
    Right("patch", "makiniconnections"): logs(connect),
    Right("patch", "makiniconnections/status"): logs(connect),
    Right("get", "secrets"): logs(connect),
    Right("list", "secrets"): is_not_healthy,
    Right("watch", "secrets"): does_not_watch,
    Right("create", "secrets"): tells("SecretRefused", connect),
    Right("update", "secrets"): tells("SecretRefused", relabel_secret, Stage.ready),
    Right("delete", "secrets"): logs(disconnect, Stage.ready),
    Right("get", "cronjobs"): logs(connect_with_workflow),
    Right("list", "cronjobs"): is_not_healthy,
    Right("watch", "cronjobs"): does_not_watch,
    Right("create", "cronjobs"): tells("WorkflowRefused", connect_with_workflow),
    Right("update", "cronjobs"): tells("WorkflowRefused", reschedule, with_workflow),
    Right("delete", "cronjobs"): logs(disconnect, with_workflow),
    Right("list", "jobs"): logs(disconnect, with_workflow),
    Right("watch", "jobs"): does_not_watch,
    Right("create", "jobs"): tells("SyncRefused", ask_for_a_run, with_sync),
    Right("delete", "jobs"): logs(disconnect, with_run),
    Right("list", "pods"): logs(disconnect, with_workflow),
    Right("delete", "pods"): logs(disconnect, with_run_adrift),
    Right("get", "roles"): logs(connect_with_readers),
    Right("list", "roles"): is_not_healthy,
    Right("watch", "roles"): does_not_watch,
    Right("create", "roles"): tells("ReadersRefused", connect_with_readers),
    Right("update", "roles"): tells("ReadersRefused", rename_secret, with_readers),
    Right("delete", "roles"): logs(disconnect, with_readers),
    Right("get", "rolebindings"): logs(connect_with_readers),
    Right("list", "rolebindings"): is_not_healthy,
    Right("watch", "rolebindings"): does_not_watch,
    Right("create", "rolebindings"): tells("ReadersRefused", connect_with_readers),
    Right("update", "rolebindings"): tells("ReadersRefused", another_reader, with_readers),
    Right("delete", "rolebindings"): logs(disconnect, with_readers),
    Right("get", "networkpolicies"): logs(connect_with_egress),
    Right("list", "networkpolicies"): is_not_healthy,
    Right("watch", "networkpolicies"): does_not_watch,
    Right("create", "networkpolicies"): tells("SyncRefused", connect_with_egress),
    Right("update", "networkpolicies"): tells("SyncRefused", another_network, with_egress),
    Right("delete", "networkpolicies"): logs(disconnect, with_egress),
    Right("get", "deployments"): tells("RolloutStuck", rotate, with_workloads("Deployment")),
    Right("patch", "deployments"): tells("RolloutStuck", rotate, with_workloads("Deployment")),
    Right("get", "statefulsets"): tells("RolloutStuck", rotate, with_workloads("StatefulSet")),
    Right("patch", "statefulsets"): tells("RolloutStuck", rotate, with_workloads("StatefulSet")),
    Right("get", "daemonsets"): tells("RolloutStuck", rotate, with_workloads("DaemonSet")),
    Right("patch", "daemonsets"): tells("RolloutStuck", rotate, with_workloads("DaemonSet")),
    Right("get", "pushsecrets"): tells("StoreRefused", connect_with_store),
    Right("list", "pushsecrets"): tells("StoreNotReady", connect_with_store),
    Right("create", "pushsecrets"): tells("StoreRefused", connect_with_store),
    Right("update", "pushsecrets"): tells("StoreRefused", rotate, with_store),
    Right("delete", "pushsecrets"): logs(disconnect, with_store),
    Right("create", "events"): logs(connect),
    Right("get", "namespaces"): does_not_start,
    Right("list", "namespaces"): is_not_healthy,
    Right("watch", "namespaces"): does_not_watch,
}
AT_START = (does_not_start, is_not_healthy, does_not_watch)


# --- the tests -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(installed: Rig, cluster: LocalKube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    sandbox = Sandbox(tmp_path_factory.mktemp("rbac"))
    sandbox.start()
    name = f"rights-{sandbox.port}"
    cluster.kubectl("create", "namespace", name)
    made = Stage(installed, sandbox, name)
    made.start()
    made.world.make_pool(credits=100)
    try:
        yield made
        if not installed.operator.is_running:
            made.start()
        cluster.kubectl("delete", "job", "--all", "-n", name)
        for cron in installed.get("cronjobs", "-n", name)["items"]:
            made.hold("cronjob", cron["metadata"]["name"], held=False)
        cluster.kubectl("delete", "mconn", "--all", "-n", name, "--timeout=60s")
        cluster.kubectl("delete", "cpool", made.world.pool, *made.pools, "--timeout=60s")
        assert sandbox.connections() == []
        cluster.kubectl("delete", "crd", push_secrets.NAME, "--ignore-not-found", "--timeout=60s")
    finally:
        made.stop()
        sandbox.stop()
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_each_right_has_a_row() -> None:
    assert sorted(TABLE) == sorted(rights())


@pytest.mark.parametrize("right", sorted(TABLE, key=lambda right: TABLE[right] in AT_START), ids=" ".join)
def test_without_it_something_breaks_in_plain_sight(stage: Stage, right: Right) -> None:
    scenario = TABLE[right]
    if scenario in AT_START:
        stage.stop()
    elif not stage.rig.operator.is_running:
        stage.start()
    stage.mark()
    scenario(stage, right)


def test_all_rights_are_for_the_whole_cluster_and_none_is_a_wildcard() -> None:
    for rule in rules():
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        *((verb, "jobs") for verb in ("get", "update", "patch", "deletecollection")),
        *((verb, "jobs/status") for verb in ("get", "update", "patch")),
        *((verb, "cronjobs/status") for verb in ("update", "patch")),
        *((verb, "pods") for verb in ("get", "watch", "create", "update", "patch", "deletecollection")),
        ("get", "pods/log"),
        ("create", "pods/exec"),
        *((verb, "persistentvolumeclaims") for verb in ("get", "list", "create", "delete")),
    ],
)
def test_runs_are_made_watched_and_ended_and_nothing_beside_that(installed: Rig, verb: str, resource: str) -> None:
    kind, _, subresource = resource.partition("/")
    asked = (verb, kind, f"--subresource={subresource}", "-A")
    may = installed.cluster.kubectl("auth", "can-i", *asked, *AS_THE_OPERATOR, check=False)
    assert (may.stdout.strip(), may.returncode) == ("no", 1)


def test_runs_are_made_watched_and_ended(installed: Rig) -> None:
    for verb in ("list", "watch", "create", "delete"):
        may = installed.cluster.kubectl("auth", "can-i", verb, "jobs", "-A", *AS_THE_OPERATOR, check=False)
        assert may.stdout.strip() == "yes"
