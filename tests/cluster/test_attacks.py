"""Attacks: what people with few rights try in order to get more through the operator, and what they are told.

Two attackers act in one namespace that they share with a neighbour: `tenant` may do everything to
MakiniConnections and get one Secret, `editor` has the cluster's own role edit. A few rows show that even more
powerful people do not get through. Each row is one attempt. It must be answered with a message that says
why it fails, by the API server, in the status, or in an event. After it every object of the victims is byte for
byte what it was, their connections are open, the pool's books are the same, and nothing that attackers can
read holds a secret that is not theirs.
"""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.cluster.people import EDITOR, GITOPS, OWNER, POOL_ADMIN, TENANT, People, edited
from tests.harness import OPERATOR_NAMESPACE, Rig, Sandbox
from tests.localkube import LocalKube, objects
from tests.localkube.waiting import wait_until

from makini_operator.manifests.workflow import workflow_name
from makini_operator.resources.connection import MakiniConnection

CREDITS = 6
HELD = 5
"""By the neighbour (1) and the victim in another namespace (4): one credit is left."""
FOREIGN = "canary-foreign-secret-of-somebody-else"
MINUTELY = "* * * * *"
READABLE = ("mconn", "cronjobs", "jobs", "pods", "events.events.k8s.io", "configmaps", "secrets")
MADE = ("cronjob", "job", "pod", "deployment", "secret")


class Scene:
    """The victims, and what attackers have to begin with."""

    def __init__(self, rig: Rig, sandbox: Sandbox, namespace: str, elsewhere: str) -> None:
        self.rig, self.sandbox, self.namespace, self.elsewhere = rig, sandbox, namespace, elsewhere
        self.people = People(rig, namespace)
        self.world, other = World(rig, sandbox, namespace), World(rig, sandbox, elsewhere)
        self.pool = other.pool = self.world.pool
        self.account = self.world.account
        self.world.make_pool(CREDITS)
        rig.apply(other.login_secret(), self.people.secret("foreign", value=FOREIGN), self.people.secret("mine"))
        neighbour = self.world.connection("neighbour", workflows=[workflow("nightly")])
        neighbour["metadata"]["annotations"] = {"makini.io/protect": "true"}
        rig.apply(neighbour, other.connection("victim", "sap-s4hana"))
        self.world.until_ready("neighbour")
        other.until_ready("victim")
        self.cronjob = workflow_name(MakiniConnection.parse(self.world.get("neighbour")), "nightly")
        self.run_now(self.cronjob)
        (job,), (pod,) = self.until_run("jobs", "neighbour"), self.until_run("pods", "neighbour")
        self.suspend(self.cronjob)
        self.job, self.pod = job["metadata"]["name"], pod["metadata"]["name"]
        self.token = self.world.secret("neighbour-makini")["token"]
        self.victim = other.get("victim")
        self.stolen_name = self._name_at_makini(self.victim["status"]["connectionID"])
        here, there = f"/namespaces/{namespace}", f"/namespaces/{elsewhere}"
        self._paths = [
            f"/api/v1{here}/secrets/foreign",
            f"/api/v1{here}/secrets/neighbour-makini",
            f"/api/v1{here}/secrets/{self.world.login}",
            f"/api/v1{here}/pods/{self.pod}",
            f"/apis/batch/v1{here}/jobs/{self.job}",
            f"/apis/batch/v1{here}/cronjobs/{self.cronjob}",
            f"/apis/makini.io/v1beta1{here}/makiniconnections/neighbour",
            f"/apis/makini.io/v1beta1{there}/makiniconnections/victim",
            f"/api/v1{there}/secrets/victim-makini",
            f"/api/v1{there}/secrets/{other.login}",
            f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/{self.account}",
            f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/makini-installation",
        ]
        installation = rig.get("secret", "makini-installation", "-n", OPERATOR_NAMESPACE)["data"]["key"]
        hidden = {self.token, FOREIGN, self.world.password}
        hidden_from_all = {other.secret("victim-makini")["token"], other.password, sandbox.client_secret, installation}
        self._hidden = {TENANT: _encoded(hidden | hidden_from_all), EDITOR: _encoded(hidden_from_all)}
        self._unharmed = self._victims()
        self.people.grant(TENANT, "", "secrets", "get", "mine")

    # --- for attempts ----------------------------------------------------------------------------------------------

    def thief(self, **spec: Any) -> Manifest:
        """A connection of the attacker's, with a login that both may use."""
        return self.people.connection("thief", "mine", **{"poolRef": {"name": self.pool}} | spec)

    def ready(self, **spec: Any) -> Manifest:
        """The attacker's connection, made without tricks and disconnected, as it is stored."""
        self.rig.apply(self.thief(connected=False, **spec))
        return self.world.until_reason("thief", "Disconnected")

    def until_told(self, words: str) -> str:
        """What the status of the attacker's connection says, as soon as it says these words."""

        def told() -> str:
            message = condition(self.world.get("thief"), "Ready")["message"]
            return message if words in message else ""

        return self.world.until(told)

    def run_now(self, cronjob: str) -> None:
        """Let the controller believe that it has just missed a run."""
        before = (datetime.now(UTC) - timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        patch = ("--type=merge", "--subresource=status", "-p", json.dumps({"status": {"lastScheduleTime": before}}))
        self.world.kubectl("patch", "cronjob", cronjob, "-n", self.namespace, *patch)

    def suspend(self, cronjob: str) -> None:
        """Let no more runs follow, so that the neighbour is at rest."""
        obj = self.world.get("neighbour")
        suspended = [flow | {"suspend": True} for flow in obj["spec"]["workflows"]]
        self.world.patch("neighbour", {"workflows": suspended})
        wait_until(lambda: self.people.get("cronjob", cronjob)["spec"]["suspend"], 30, self._happened)
        self.world.until_ready("neighbour")

    def until_run(self, kind: str, connection: str) -> list[Manifest]:
        selector = f"makini.io/connection={connection}"
        return wait_until(lambda: self.people.get(kind, "-l", selector)["items"], 30, self._happened)

    def until_event(self, words: str) -> str:
        """An event in the namespace that says these words; the attacker can read it."""
        return wait_until(lambda: next((note for note in self._notes() if words in note), ""), 30, self._happened)

    # --- for the test ----------------------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """Remove what the attempt has made, and wait until the books are as before."""
        made = {obj["metadata"]["name"] for obj in self.people.get("mconn")["items"]} - {"neighbour"}
        for kind, name in [("mconn", name) for name in made] + [(kind, "thief") for kind in MADE]:
            objects.delete(self.rig.cluster, kind, name, self.namespace, seconds=60)
        pods = ("pod", "-l", "makini.io/connection=thief")
        if self.people.get(*pods)["items"]:
            options = ("-n", self.namespace, "--ignore-not-found", "--timeout=60s")
            self.world.kubectl("delete", *pods, "--force", "--grace-period=0", *options)
        self.world.until(lambda: self._books() == (CREDITS, HELD))

    def check(self, said: str) -> None:
        """No victim is harmed, and no attacker can read what is hidden from it."""
        now = self._victims()
        assert {path for path in now if now[path] != self._unharmed[path]} == set()
        assert self.sandbox.accepts(self.token)
        for attacker, hidden in self._hidden.items():
            kinds = READABLE if attacker == EDITOR else ("mconn",)
            seen = said + "".join(self._seen_by(attacker, kind) for kind in kinds)
            assert [secret[:8] for secret in hidden if secret in seen] == [], attacker

    def _seen_by(self, attacker: str, kind: str) -> str:
        path = objects.path_of(kind, namespace=self.namespace)
        answer = self.rig.cluster.api.ask("GET", path, impersonated=[attacker])
        assert answer.status == 200, answer.text
        return answer.text

    def _victims(self) -> dict[str, str]:
        found = {path: self.rig.cluster.request("GET", path) for path in self._paths}
        assert {path for path, (status, _) in found.items() if status != 200} == set()
        pool = self.rig.get("cpool", self.pool)
        alive = {row["key"]: row["name"] for row in self.sandbox.connections()}
        mine = [alive.get(i) for i in (self.victim["status"]["connectionID"],)]
        return {path: text for path, (_, text) in found.items()} | {
            "pool": json.dumps([pool["spec"], pool["metadata"]["uid"], pool["status"]["ledger"]["holder"]]),
            "at Makini": json.dumps(mine),
        }

    def _books(self) -> tuple[int, int]:
        books = self.rig.get("cpool", self.pool)["status"]["credits"]
        return books["total"], books["held"]

    def _name_at_makini(self, connection_id: str) -> str:
        return next(str(row["name"]) for row in self.sandbox.connections() if row["key"] == connection_id)

    def _notes(self) -> list[str]:
        return [str(e.get("note")) for e in self.people.get("events.events.k8s.io")["items"]]

    def _happened(self) -> str:
        return "\n".join([*self._notes(), self.rig.operator.text()[-3000:]])


def workflow(name: str, schedule: str = MINUTELY, *, image: str = "example.com/work:1", **pod: Any) -> Manifest:
    container = {"name": "work", "image": image} | pod.pop("container", {})
    template = {"spec": {"restartPolicy": "Never", "containers": [container]} | pod}
    return {"name": name, "schedule": schedule, "jobTemplate": {"spec": {"template": template}}}


def _encoded(secrets: set[str]) -> set[str]:
    return secrets | {base64.b64encode(secret.encode()).decode() for secret in secrets}


# --- how attempts are made -------------------------------------------------------------------------------------------

Attempt = Callable[[Scene, "Attack"], str]


@dataclass(frozen=True)
class Attack:
    """One row: `says` must be in the answer."""

    id: str
    who: str
    attempt: Attempt
    says: str


def asked(*arguments: str, manifest: Callable[[Scene], Manifest] | None = None) -> Attempt:
    """The API server's answer to kubectl; `{names}` in arguments are the scene's."""

    def attempt(scene: Scene, attack: Attack) -> str:
        filled = [argument.format(s=scene) for argument in arguments]
        return scene.people.says(attack.who, *filled, manifest=manifest(scene) if manifest else None)

    return attempt


def created(manifest: Callable[[Scene], Manifest]) -> Attempt:
    return asked("create", manifest=manifest)


def patched(kind: str, name: str, change: Callable[[Scene], Manifest], *options: str, ready: bool = False) -> Attempt:
    """The API server's answer to a merge patch; `ready`: of a connection that the attacker has made before."""

    def attempt(scene: Scene, attack: Attack) -> str:
        if ready:
            scene.ready()
        patch = ("patch", kind, name.format(s=scene), "--type=merge", "-p", json.dumps(change(scene)), *options)
        return scene.people.says(attack.who, *patch)

    return attempt


def told(**spec: Any) -> Attempt:
    """What the status says of a connection that is accepted."""

    def attempt(scene: Scene, attack: Attack) -> str:
        assert scene.people.says(attack.who, "create", manifest=scene.thief(**spec)) == ""
        return scene.until_told(attack.says)

    return attempt


def run(scene: Scene, attack: Attack, **pod: Any) -> None:
    """Make a connection with a workflow, and let the workflow run."""
    assert scene.people.says(attack.who, "create", manifest=scene.thief(workflows=[workflow("flow", **pod)])) == ""
    scene.world.until_ready("thief")
    scene.run_now(workflow_name(MakiniConnection.parse(scene.world.get("thief")), "flow"))


def ran(**pod: Any) -> Attempt:
    """What the namespace's events say of a workflow that runs."""

    def attempt(scene: Scene, attack: Attack) -> str:
        run(scene, attack, **pod)
        return scene.until_event(attack.says)

    return attempt


def spec(**change: Any) -> Callable[[Scene], Manifest]:
    return lambda _: {"spec": change}


def reference(name: str) -> Manifest:
    return {"credentials": {"secretRef": {"name": name}}}


def generated(scene: Scene) -> Manifest:
    return scene.thief(authorization=reference("foreign")) | {
        "metadata": {"generateName": "thief-", "namespace": scene.namespace}
    }


def in_another_namespace(scene: Scene) -> Manifest:
    return scene.thief() | {"metadata": {"name": "thief", "namespace": scene.elsewhere}}


def own_pool(scene: Scene) -> Manifest:
    account = {"url": "https://thief.example", "credentialsSecretRef": {"name": scene.account}}
    meta = {"name": f"thief-{scene.namespace}"}
    return {
        "apiVersion": "makini.io/v1beta1",
        "kind": "CreditPool",
        "metadata": meta,
        "spec": {"credits": 99, "account": account},
    }


def another_image(scene: Scene) -> Manifest:
    neighbour = scene.world.get("neighbour")
    (flow,) = neighbour["spec"]["workflows"]
    return edited(
        neighbour, workflows=[workflow("nightly", image="thief.example/steal:1") | {"suspend": flow["suspend"]}]
    )


def resumed(scene: Scene) -> Manifest:
    (flow,) = scene.world.get("neighbour")["spec"]["workflows"]
    return {"spec": {"workflows": [flow | {"suspend": False}]}}


def labelled(kind: str, *, owned: bool = False) -> Callable[[Scene], Manifest]:
    """An object that claims to be the neighbour's."""

    def manifest(scene: Scene) -> Manifest:
        mark = {"makini.io/connection": "neighbour", "makini.io/workflow": "nightly"}
        made: Manifest = {
            "pod": lambda: scene.people.pod("thief", mark),
            "job": lambda: scene.people.job("thief", mark),
            "cronjob": lambda: scene.people.cronjob("thief", mark),
            "secret": lambda: scene.people.secret("thief"),
        }[kind]()
        return scene.people.child(made, scene.world.get("neighbour")) if owned else made

    return manifest


def deployment(scene: Scene) -> Manifest:
    labels = {"app": "thief", "makini.io/connection": "neighbour"}
    template = {"metadata": {"labels": labels}, "spec": scene.people.pod("x")["spec"]}
    meta = {"name": "thief", "namespace": scene.namespace}
    selector = {"matchLabels": {"app": "thief"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"selector": selector, "template": template},
    }


def pods_by_deployment(scene: Scene, attack: Attack) -> str:
    assert scene.people.says(attack.who, "create", manifest=deployment(scene)) == ""
    return scene.until_event(attack.says)


def kept_by_grace(*, is_going: bool) -> Attempt:
    """A pod may take an hour to end; `is_going`: it is being deleted already when the disconnect comes."""

    def attempt(scene: Scene, attack: Attack) -> str:
        run(scene, attack, nodeName="nowhere", terminationGracePeriodSeconds=3600)
        (pod,) = scene.until_run("pods", "thief")
        name = pod["metadata"]["name"]
        if is_going:
            assert scene.people.says(attack.who, "delete", "pod", name, "--wait=false") == ""
        assert patched("mconn", "thief", spec(connected=False))(scene, attack) == ""
        said = scene.until_told(attack.says)
        left = [other for other in scene.people.get("pods")["items"] if other["metadata"]["name"] == name]
        assert [pod["metadata"]["deletionGracePeriodSeconds"] for pod in left] in ([], [0], [1])
        return said

    return attempt


def copied(scene: Scene, attack: Attack) -> str:
    """Everything of the victim's resource under another name: uid, status, claim and all."""
    meta = {"name": "thief", "namespace": scene.namespace, "uid": scene.victim["metadata"]["uid"]}
    meta["finalizers"] = scene.victim["metadata"]["finalizers"]
    copy = scene.victim | {"metadata": meta, "spec": scene.victim["spec"] | {"authorization": reference("mine")}}
    assert scene.people.says(attack.who, "create", manifest=copy) == ""
    return scene.until_told(attack.says)


def forged_marker(scene: Scene, attack: Attack) -> str:
    """The victim's own marker as the customer's name: it must buy a connection of its own, and be nobody else's."""
    manifest = scene.thief(customer={"name": scene.stolen_name[:100]})
    assert scene.people.says(attack.who, "create", manifest=manifest) == ""
    said = scene.until_told(attack.says)
    assert scene._books() == (CREDITS, HELD + 1)
    names = [row["name"] for row in scene.sandbox.connections()]
    assert len([name for name in names if scene.stolen_name in name]) == 2
    assert len([name for name in names if name.startswith(scene.stolen_name)]) == 1
    return said


def renamed_over_a_foreign_secret_and_back(scene: Scene, attack: Attack) -> str:
    """What was the token's name for a moment must not be taken for a superseded Secret of ours."""
    scene.rig.apply(scene.thief())
    scene.world.until_ready("thief")
    for name in ("foreign", "neighbour-makini"):
        change = {"spec": {"token": {"secretName": name}}}
        assert patched("mconn", "thief", lambda _, change=change: change)(scene, attack) == ""
        scene.until_told(f"Secret {name} exists")
    assert patched("mconn", "thief", spec(token={"secretName": "thief"}))(scene, attack) == ""
    return scene.until_told(attack.says)


def secret_in_wait(scene: Scene, attack: Attack) -> str:
    """A Secret of the token's name that says the attacker's connection is its owner."""
    owned = scene.people.child(scene.people.secret("thief"), scene.ready(token={"secretName": "thief"}), label=False)
    assert scene.people.says(attack.who, "create", manifest=owned) == ""
    path = f"/api/v1/namespaces/{scene.namespace}/secrets/thief"
    before = scene.rig.cluster.request("GET", path)
    assert patched("mconn", "thief", spec(connected=True))(scene, attack) == ""
    said = scene.until_told(attack.says)
    assert scene.rig.cluster.request("GET", path) == before
    return said


def owned_by_the_thief(scene: Scene, attack: Attack) -> str:
    """So that it would go as garbage when the attacker's connection is deleted."""
    owned = scene.people.child(scene.people.secret("neighbour-makini"), scene.ready(), label=False)
    change = {"metadata": {"ownerReferences": owned["metadata"]["ownerReferences"]}}
    return patched("secret", "neighbour-makini", lambda _: change)(scene, attack)


def cronjob_in_wait(scene: Scene, attack: Attack) -> str:
    """A CronJob of the name that the operator's will have."""
    name = workflow_name(MakiniConnection.parse(scene.ready()), "flow")
    assert scene.people.says(attack.who, "create", manifest=scene.people.cronjob(name)) == ""
    path = f"/apis/batch/v1/namespaces/{scene.namespace}/cronjobs/{name}"
    before = json.loads(scene.rig.cluster.request("GET", path)[1])["spec"]
    change = spec(connected=True, workflows=[workflow("flow")])
    assert patched("mconn", "thief", change)(scene, attack) == ""
    said = scene.until_told(attack.says)
    assert json.loads(scene.rig.cluster.request("GET", path)[1])["spec"] == before
    scene.world.kubectl("delete", "cronjob", name, "-n", scene.namespace)
    return said


def orphaned(scene: Scene, attack: Attack) -> str:
    """The garbage collector would take the owner off the children, so that nobody knew them again."""
    scene.rig.apply(scene.thief(workflows=[workflow("flow")]))
    scene.world.until_ready("thief")
    said = scene.people.says(attack.who, "delete", "mconn", "thief", "--cascade=orphan")
    own_finalizer = [*scene.world.get("thief")["metadata"]["finalizers"], "orphan"]
    change = {"metadata": {"finalizers": own_finalizer}}
    assert patched("mconn", "thief", lambda _: change)(scene, attack) == ""
    assert attack.says in scene.people.says(attack.who, "delete", "mconn", "thief")
    change["metadata"]["finalizers"].pop()
    assert patched("mconn", "thief", lambda _: change)(scene, attack) == ""
    return said


def sync(reads: str = "mine", *, bucket: str | None = None, **change: Any) -> Manifest:
    reference = {"name": reads}
    to_bucket = {"files": {"url": f"s3://{bucket}/history", "credentialsSecretRef": reference}}
    destination = to_bucket if bucket else {"postgres": {"credentialsSecretRef": reference | {"key": "value"}}}
    base = {"name": "orders", "schedule": MINUTELY, "entities": ["erp/vendors"], "destination": destination}
    return base | change


def loaded(secret: str, **change: Any) -> Attempt:
    """By somebody who may run pods, and get one Secret, but not this one."""

    def attempt(scene: Scene, attack: Attack) -> str:
        people = scene.people
        people.rig.apply(people.binding(attack.who, "Role", "own-connections"))
        people.grant(attack.who, "batch", "cronjobs", "create")
        people.grant(attack.who, "", "secrets", "get", "mine")
        return people.says(attack.who, "create", manifest=scene.thief(syncs=[sync(secret, **change)]))

    return attempt


def labelled_sync(kind: str, *, owned: bool = False) -> Callable[[Scene], Manifest]:
    """An object that claims to be a run of a sync of the neighbour's; `owned`: as the operator makes it."""

    def manifest(scene: Scene) -> Manifest:
        mark = {"makini.io/connection": "neighbour", "makini.io/sync": "orders"}
        if kind == "pod":
            return scene.people.pod("thief", mark)
        made = scene.people.job("thief", mark) if kind == "job" else scene.people.cronjob("thief", mark)
        if owned:
            uid = scene.people.get("cronjob", scene.cronjob)["metadata"]["uid"]
            owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": scene.cronjob, "uid": uid, "controller": True}
            made["metadata"] |= {"labels": mark, "ownerReferences": [owner]}
            made["metadata"]["annotations"] = {"cronjob.kubernetes.io/instantiate": "manual"}
        return made

    return manifest


def half_labelled(scene: Scene) -> Manifest:
    """A Job that a CronJob of the neighbour's seems to have made, to have its end taken for a sync's."""
    made = labelled_sync("job", owned=True)(scene)
    made["metadata"]["labels"] = {"makini.io/sync": "orders"}
    del made["spec"]["template"]["metadata"]
    return made


LOADER = "loader"
"""May do everything to MakiniConnections, create CronJobs, and get one Secret."""
_NO_SYNC = "spec.syncs runs pods, and you (tenant) may not create CronJobs in namespace"
_NO_LOAD = "which you (loader) may not get in namespace"
_ROOT_FOLDER = {"url": "file:///etc", "volumeClaimName": "history"}
_STEAL = [workflow("flow", image="thief.example/steal:1")]
_HOST = {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}
_ROOT = {"container": {"securityContext": {"privileged": True}}}
_FAKE_TOKEN = {"volumes": [{"name": "makini-token", "secret": {"secretName": "foreign"}}]}
_NO_GET = "which you (tenant) may not get in namespace"
_NO_RUN = "spec.workflows runs pods, and you (tenant) may not create CronJobs in namespace"
_MARK = "marks the workflows and syncs of a MakiniConnection"
_STATUS = "only the operator writes it"
_PAID = "stays open, paid, and with a token that works"
_TOGETHER = "has made goes with it: delete it without orphaning that"
_FIXED = "are fixed while the connection holds credits"
_UNKNOWN = 'unknown field "spec.'
_LEDGER = {"status": {"ledger": None, "credits": None}}
_CLAIM = {"pool": "p", "poolUID": "u", "amount": 0, "tier": "I", "grantedAt": "2026-01-01T00:00:00Z"}
_TEMPLATE = "must not use the reserved prefixes"

ATTACKS = [
    # read a Secret
    Attack("login-of-somebody", TENANT, created(lambda s: s.thief(authorization=reference("foreign"))), _NO_GET),
    Attack("login-by-generated-name", TENANT, created(generated), _NO_GET),
    Attack(
        "login-by-apply",
        TENANT,
        asked(
            "apply",
            "--server-side",
            "--field-manager=makini-operator",
            manifest=lambda s: s.thief(authorization=reference("foreign")),
        ),
        _NO_GET,
    ),
    Attack(
        "login-by-patch",
        TENANT,
        patched("mconn", "thief", spec(authorization=reference("foreign")), ready=True),
        _NO_GET,
    ),
    Attack(
        "login-of-the-neighbour-to-own-system",
        TENANT,
        patched("mconn", "neighbour", spec(authorization=reference("foreign"))),
        _NO_GET,
    ),
    Attack(
        "token-of-the-neighbour-as-login",
        TENANT,
        created(lambda s: s.thief(authorization=reference("neighbour-makini"))),
        _NO_GET,
    ),
    Attack(
        "login-in-another-namespace",
        EDITOR,
        created(lambda s: s.thief(authorization=reference(f"{s.elsewhere}/{s.world.login}"))),
        "must be the name of a Kubernetes object",
    ),
    Attack(
        "namespace-of-a-login",
        EDITOR,
        created(
            lambda s: s.thief(
                authorization={"credentials": {"secretRef": {"name": s.world.login, "namespace": s.elsewhere}}}
            )
        ),
        _UNKNOWN,
    ),
    Attack(
        "account-as-login",
        EDITOR,
        lambda scene, attack: told(authorization=reference(scene.account))(scene, attack),
        "which must hold the customer's login",
    ),
    Attack(
        "own-pool-with-the-account", EDITOR, created(own_pool), 'User "editor" cannot create resource "creditpools"'
    ),
    Attack("account-to-own-server", POOL_ADMIN, created(own_pool), "which you (pool-admin) may not get in namespace"),
    Attack(
        "account-of-the-pool-to-own-server",
        POOL_ADMIN,
        patched("cpool", "{s.pool}", spec(account={"url": "https://thief.example"})),
        "which you (pool-admin) may not get in namespace",
    ),
    Attack(
        "token-into-a-foreign-secret",
        TENANT,
        told(token={"secretName": "foreign"}),
        "Secret foreign exists and belongs to somebody else: it is left alone",
    ),
    Attack(
        "token-copied-to-another-namespace",
        EDITOR,
        created(
            lambda s: s.thief(
                token={"secretTemplate": {"annotations": {"replicator.v1.mittwald.de/replicate-to": "default"}}}
            )
        ),
        _TEMPLATE,
    ),
    Attack(
        "token-as-a-cluster-of-argo-cd",
        EDITOR,
        created(lambda s: s.thief(token={"secretTemplate": {"labels": {"argocd.argoproj.io/secret-type": "cluster"}}})),
        _TEMPLATE,
    ),
    # run a pod
    Attack("workflow", TENANT, created(lambda s: s.thief(workflows=_STEAL)), _NO_RUN),
    Attack(
        "workflow-by-apply",
        TENANT,
        asked("apply", "--server-side", manifest=lambda s: s.thief(workflows=_STEAL)),
        _NO_RUN,
    ),
    Attack(
        "workflow-hidden-in-an-update",
        TENANT,
        patched("mconn", "thief", spec(metadata={"plan": "gold"}, suspend=True, workflows=_STEAL), ready=True),
        _NO_RUN,
    ),
    Attack(
        "workflow-suspended-at-first",
        TENANT,
        created(lambda s: s.thief(workflows=[_STEAL[0] | {"suspend": True}])),
        _NO_RUN,
    ),
    Attack("workflow-with-another-image", TENANT, asked("replace", manifest=another_image), _NO_RUN),
    Attack("workflow-resumed", TENANT, patched("mconn", "neighbour", resumed), _NO_RUN),
    Attack("workflow-on-the-host", EDITOR, ran(**_HOST), "violates PodSecurity"),
    Attack("workflow-with-privileges", EDITOR, ran(**_ROOT), "violates PodSecurity"),
    Attack(
        "workflow-as-the-operator",
        EDITOR,
        ran(serviceAccountName="makini-operator"),
        'serviceaccount "makini-operator" not found',
    ),
    Attack(
        "workflow-with-another-token",
        EDITOR,
        told(workflows=[workflow("flow", **_FAKE_TOKEN)]),
        "volumes has makini-token, which the operator adds: leave it out",
    ),
    Attack(
        "token-of-the-operator",
        EDITOR,
        asked("create", "token", "makini-operator", "-n", OPERATOR_NAMESPACE),
        'cannot create resource "serviceaccounts/token"',
    ),
    Attack(
        "cronjob-of-the-neighbour-edited",
        EDITOR,
        patched("cronjob", "{s.cronjob}", spec(suspend=False)),
        "is managed by the makini operator: change the MakiniConnection instead",
    ),
    Attack(
        "job-from-the-neighbours-cronjob", EDITOR, asked("create", "job", "thief", "--from=cronjob/{s.cronjob}"), _MARK
    ),
    Attack("pod-with-the-label", EDITOR, created(labelled("pod")), _MARK),
    Attack("job-with-the-label", EDITOR, created(labelled("job")), _MARK),
    Attack("cronjob-with-the-label", EDITOR, created(labelled("cronjob")), _MARK),
    Attack("deployment-with-the-label", EDITOR, pods_by_deployment, _MARK),
    # keep a pod that the disconnect would end, or have somebody's ended
    Attack("run-out-of-sight", EDITOR, asked("label", "pod", "{s.pod}", "makini.io/workflow-"), _MARK),
    Attack(
        "run-out-of-sight-by-status",
        OWNER,
        patched(
            "pod", "{s.pod}", lambda _: {"metadata": {"labels": {"makini.io/workflow": None}}}, "--subresource=status"
        ),
        _MARK,
    ),
    Attack(
        "run-without-an-owner",
        EDITOR,
        patched("pod", "{s.pod}", lambda _: {"metadata": {"ownerReferences": None}}),
        _MARK,
    ),
    Attack(
        "run-released-by-its-job",
        EDITOR,
        asked("label", "pod", "{s.pod}", "batch.kubernetes.io/controller-uid=none", "--overwrite"),
        _MARK,
    ),
    Attack("run-orphaned", EDITOR, asked("delete", "job", "{s.job}", "--cascade=orphan"), _TOGETHER),
    Attack("runs-orphaned", EDITOR, asked("delete", "cronjob", "{s.cronjob}", "--cascade=orphan"), _TOGETHER),
    Attack("run-with-a-long-grace", EDITOR, kept_by_grace(is_going=False), "disconnected as spec.connected says"),
    Attack(
        "run-with-a-long-grace-under-way", EDITOR, kept_by_grace(is_going=True), "disconnected as spec.connected says"
    ),
    Attack("run-beyond-the-disconnect", TENANT, orphaned, _TOGETHER),
    # take another's connection or credits
    Attack(
        "status-without-the-right",
        TENANT,
        patched(
            "mconn",
            "neighbour",
            lambda s: {"status": {"connectionID": s.victim["status"]["connectionID"]}},
            "--subresource=status",
        ),
        'User "tenant" cannot patch resource "makiniconnections/status"',
    ),
    Attack(
        "connection-of-another",
        OWNER,
        patched(
            "mconn",
            "thief",
            lambda s: {"status": {"connectionID": s.victim["status"]["connectionID"]}},
            "--subresource=status",
            ready=True,
        ),
        _STATUS,
    ),
    Attack(
        "credits-by-status",
        OWNER,
        patched("mconn", "thief", lambda _: {"status": {"credits": _CLAIM}}, "--subresource=status", ready=True),
        _STATUS,
    ),
    Attack(
        "books-of-the-pool", GITOPS, patched("cpool", "{s.pool}", lambda _: _LEDGER, "--subresource=status"), _STATUS
    ),
    Attack(
        "books-of-the-pool-without-the-right",
        EDITOR,
        patched("cpool", "{s.pool}", lambda _: _LEDGER, "--subresource=status"),
        'User "editor" cannot patch resource "creditpools/status"',
    ),
    Attack("copy-with-uid-and-status", TENANT, copied, "needs 4 credits, 1 available"),
    Attack(
        "marker-in-the-customers-name", TENANT, forged_marker, "connected to fiix; the token is in Secret thief-makini"
    ),
    Attack(
        "finalizer-taken-off",
        TENANT,
        patched("mconn", "neighbour", lambda _: {"metadata": {"finalizers": None}}),
        _PAID,
    ),
    Attack(
        "protected-one-deleted",
        EDITOR,
        asked("delete", "mconn", "neighbour"),
        "remove the annotation makini.io/protect",
    ),
    Attack("in-another-namespace", EDITOR, created(in_another_namespace), 'cannot create resource "makiniconnections"'),
    Attack(
        "deleted-in-another-namespace",
        EDITOR,
        asked("delete", "mconn", "victim", "-n", "{s.elsewhere}"),
        'cannot delete resource "makiniconnections"',
    ),
    # pay less
    Attack("on-premises-called-cloud", TENANT, told(system={"name": "sap-ecc", "deployment": "Cloud"}), "OnPremises"),
    Attack(
        "own-tier",
        TENANT,
        created(lambda s: s.thief(system={"name": "sap-ecc", "deployment": "OnPremises", "tier": "I"})),
        _UNKNOWN,
    ),
    Attack("own-price", TENANT, created(lambda s: s.thief(credits=0)), _UNKNOWN),
    Attack(
        "unknown-name-for-a-known-system", TENANT, told(system={"name": "sap-ecc-6", "deployment": "Cloud"}), "sap-ecc"
    ),
    Attack(
        "test-instance",
        TENANT,
        told(environment="Test", system={"name": "sap-s4hana", "deployment": "Cloud"}),
        "needs 4 credits, 1 available",
    ),
    Attack("sandbox", TENANT, told(environment="Sandbox"), "has no sandbox account"),
    Attack(
        "larger-system-afterwards", TENANT, patched("mconn", "neighbour", spec(system={"name": "sap-s4hana"})), _FIXED
    ),
    Attack(
        "larger-system-while-disconnecting",
        TENANT,
        patched("mconn", "neighbour", spec(connected=False, system={"name": "sap-s4hana"})),
        _FIXED,
    ),
    # make the operator change what is somebody else's
    Attack("superseded-secret", TENANT, renamed_over_a_foreign_secret_and_back, "the token is in Secret thief"),
    Attack(
        "secret-that-claims-to-be-ours", EDITOR, created(labelled("secret", owned=True)), "leave it out of this Secret"
    ),
    Attack("cronjob-that-claims-to-be-ours", EDITOR, created(labelled("cronjob", owned=True)), "makini.io/"),
    Attack("token-of-the-neighbour-owned", EDITOR, owned_by_the_thief, "is managed by the makini operator"),
    Attack("secret-in-wait", EDITOR, secret_in_wait, "exists and belongs to"),
    Attack("cronjob-in-wait", EDITOR, cronjob_in_wait, "which exists and belongs to somebody else: it is left alone"),
    Attack(
        "login-overwritten-with-the-token",
        TENANT,
        created(lambda s: s.thief(token={"secretName": "mine"})),
        "token.secretName must differ from the name of the Secret with the customer's login",
    ),
    # the same by a sync
    Attack("sync", TENANT, created(lambda s: s.thief(syncs=[sync()])), _NO_SYNC),
    Attack(
        "sync-by-apply", TENANT, asked("apply", "--server-side", manifest=lambda s: s.thief(syncs=[sync()])), _NO_SYNC
    ),
    Attack(
        "sync-hidden-in-an-update",
        TENANT,
        patched(
            "mconn", "thief", spec(metadata={"plan": "gold"}, suspend=True, syncs=[sync(suspend=True)]), ready=True
        ),
        _NO_SYNC,
    ),
    Attack("sync-with-a-foreign-secret", LOADER, loaded("foreign"), _NO_LOAD),
    Attack("sync-with-the-neighbours-token", LOADER, loaded("neighbour-makini"), _NO_LOAD),
    Attack("sync-with-keys-of-a-foreign-bucket", LOADER, loaded("foreign", bucket="thief"), _NO_LOAD),
    Attack(
        "sync-with-a-secret-of-another-namespace",
        EDITOR,
        created(lambda s: s.thief(syncs=[sync(f"{s.elsewhere}/foreign")])),
        "must be the name of a Kubernetes object",
    ),
    Attack(
        "sync-onto-the-pods-own-files",
        EDITOR,
        created(lambda s: s.thief(syncs=[sync() | {"destination": {"files": _ROOT_FOLDER}}])),
        "or file:///history or a folder below it",
    ),
    Attack(
        "sync-with-an-own-image",
        EDITOR,
        created(lambda s: s.thief(syncs=[sync() | {"image": "thief.example/steal:1"}])),
        'unknown field "spec.syncs[0].image"',
    ),
    Attack("pod-with-the-label-of-a-sync", EDITOR, created(labelled_sync("pod")), _MARK),
    Attack("job-with-the-label-of-a-sync", EDITOR, created(labelled_sync("job")), _MARK),
    Attack("cronjob-with-the-label-of-a-sync", EDITOR, created(labelled_sync("cronjob")), _MARK),
    Attack("job-that-claims-to-be-a-run-asked-for", OWNER, created(labelled_sync("job", owned=True)), _MARK),
    Attack("job-that-only-looks-like-a-run", EDITOR, created(half_labelled), _MARK),
    Attack("run-that-becomes-a-sync", EDITOR, asked("label", "job", "{s.job}", "makini.io/sync=orders"), _MARK),
]


# --- the test --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(installed: Rig, cluster: LocalKube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    names = [f"{name}-{uuid.uuid4().hex[:6]}" for name in ("shared", "elsewhere")]
    sandbox = Sandbox(tmp_path_factory.mktemp("attacked"))
    sandbox.start()
    for name in names:
        cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", names[0], "pod-security.kubernetes.io/enforce=baseline")
    installed.start_operator("--account-relist", "2")
    try:
        made = Scene(installed, sandbox, *names)
        yield made
        cluster.kubectl("annotate", "mconn", "neighbour", "makini.io/protect-", "-n", names[0])
        for name in names:
            cluster.kubectl("delete", "mconn", "--all", "-n", name, "--timeout=60s")
        assert sandbox.connections() == []
        cluster.kubectl("delete", "cpool", made.pool, "--timeout=60s")
    finally:
        installed.operator.stop()
        sandbox.stop()
        for name in names:
            cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def attacked(scene: Scene) -> Iterator[Scene]:
    yield scene
    scene.clean_up()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.who}-{attack.id}")
def test_an_attack_fails_and_says_why(attacked: Scene, attack: Attack) -> None:
    said = attack.attempt(attacked, attack)
    assert attack.says in said
    attacked.check(said)


def test_the_check_sees_a_secret_where_attackers_can_read(attacked: Scene) -> None:
    attacked.rig.apply(attacked.thief(connected=False, metadata={"oops": attacked.token[:250]}))
    with pytest.raises(AssertionError, match=TENANT):
        attacked.check("")


def test_the_check_sees_a_change_of_a_victim(attacked: Scene) -> None:
    attacked.world.kubectl("label", "secret", "foreign", "team=erp", "-n", attacked.namespace)
    with pytest.raises(AssertionError, match="secrets/foreign"):
        attacked.check("")
