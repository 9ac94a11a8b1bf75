"""`makini-operator abandon` as the people who call it: on the real API server, with the policies in force."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.fixtures_operator import Manifest, World
from tests.cluster.people import People
from tests.harness.process import inherited
from tests.harness.rig import OPERATOR_NAMESPACE, RBAC, ROOT, SERVICE_ACCOUNT, Rig
from tests.localkube import objects
from tests.localkube.waiting import wait_until

FINALIZER, POOL_FINALIZER = "makini.io/disconnect", "makini.io/in-use"
CLAIM = {"pool": "gone", "poolUID": "1", "amount": 4, "tier": "III", "grantedAt": "2026-01-01T00:00:00Z"}
TOKEN = {
    "secretName": "acme-makini",
    "issuedAt": "2026-01-01T00:00:00Z",
    "expiresAt": "2026-02-01T00:00:00Z",
    "rotateAt": "2026-01-20T00:00:00Z",
}
OPEN = {"connectionID": "con-4711", "credits": CLAIM, "token": TOKEN}
UNRECORDED = "a connection may be open at Makini, its id is not recorded, paid with 0 credits"
UNTIL = "until somebody disconnects them in Makini's dashboard"
Said = subprocess.CompletedProcess[str]


class Caller:
    """Somebody with a kubeconfig of their own: a ServiceAccount with the rights of ClusterRoles."""

    def __init__(self, rig: Rig, directory: Path, account: str, namespace: str) -> None:
        admin = yaml.safe_load(rig.cluster.kubeconfig.read_text())
        token = rig.cluster.kubectl("create", "token", account, "-n", namespace).stdout.strip()
        context = {"cluster": admin["clusters"][0]["name"], "user": account}
        own = {
            "users": [{"name": account, "user": {"token": token}}],
            "contexts": [{"name": account, "context": context}],
            "current-context": account,
        }
        self.user = f"system:serviceaccount:{namespace}:{account}"
        self.kubeconfig = directory / f"{account}.kubeconfig"
        self.kubeconfig.write_text(json.dumps(admin | own))

    def call(self, *arguments: str, answer: str = "") -> Said:
        return run(self.kubeconfig, *arguments, answer=answer)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Call it, and return when it asks."""
        running = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=inherited(KUBECONFIG=str(self.kubeconfig)),
        )
        assert running.stdout is not None
        shown = ""
        while not shown.endswith("[y/N]: "):
            character = running.stdout.read(1)
            assert character, shown
            shown += character
        return running


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "makini_operator", "abandon", *arguments]


def run(kubeconfig: Path | str, *arguments: str, answer: str = "") -> Said:
    environment = inherited(KUBECONFIG=str(kubeconfig), COLUMNS="200")
    done = subprocess.run(
        command(*arguments), input=answer, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def with_finalizers(*names: str) -> str:
    """A merge patch."""
    return json.dumps({"metadata": {"finalizers": list(names)}})


def documented_role() -> Manifest:
    """The ClusterRole of docs/install.md."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs/install.md").read_text(), re.MULTILINE | re.DOTALL)
    (role,) = [found for found in map(yaml.safe_load, blocks) if found["kind"] == "ClusterRole"]
    return dict(role)


class Stage:
    """Connections and pools that no operator looks after, and the people who want to be rid of them."""

    def __init__(self, rig: Rig, namespace: str, directory: Path) -> None:
        self.rig, self.namespace, self.directory = rig, namespace, directory
        self.pool = f"gone-{namespace[-6:]}"
        people = People(rig, namespace)
        self._manifest = people.connection
        self._until_allowed = people.until_allowed
        spec = {"credits": 12, "account": {"credentialsSecretRef": {"name": "gone"}}}
        meta = {"name": self.pool, "finalizers": [POOL_FINALIZER]}
        pool = {"apiVersion": "makini.io/v1beta1", "kind": "CreditPool", "metadata": meta, "spec": spec}
        rig.apply(documented_role(), people.secret("login"), pool)

    def connection(self, name: str, **status: Any) -> None:
        made = self._manifest(name, poolRef={"name": self.pool})
        made["metadata"]["finalizers"] = [FINALIZER, "example.com/other"]
        self.rig.apply(made)
        if status:
            self.status(name, **status)

    def status(self, name: str, **status: Any) -> None:
        patch = json.dumps({"status": status})
        self.kubectl("patch", "mconn", name, "--subresource=status", "--type=merge", "-p", patch)

    def caller(self, name: str, *roles: str, everywhere: bool = True) -> Caller:
        """A new ServiceAccount, bound to these ClusterRoles."""
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        kind = "ClusterRoleBinding" if everywhere else "RoleBinding"
        meta = {"name": f"{self.namespace}-{name}", "namespace": self.namespace}
        self.kubectl("create", "serviceaccount", name)
        for role in roles:
            ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
            binding = {"apiVersion": RBAC, "kind": kind, "roleRef": ref, "subjects": [subject]}
            self.rig.apply(binding | {"metadata": meta | {"name": f"{meta['name']}-{role}"}})
        made = Caller(self.rig, self.directory, name, self.namespace)
        if roles:
            self._until_allowed(made.user, "patch", "makini.io", "makiniconnections")
        return made

    def get(self, name: str) -> Manifest:
        return self.rig.get("mconn", name, "-n", self.namespace)

    def finalizers(self, *names: str) -> list[list[str]]:
        return [self.get(name)["metadata"].get("finalizers", []) for name in names]

    def pool_is_held(self) -> bool:
        return POOL_FINALIZER in self.rig.get("cpool", self.pool)["metadata"].get("finalizers", [])

    def kubectl(self, *arguments: str) -> str:
        return self.rig.cluster.kubectl(*arguments, "-n", self.namespace).stdout

    def clear(self) -> None:
        for item in self.rig.get("mconn", "-n", self.namespace)["items"]:
            self.kubectl("patch", "mconn", item["metadata"]["name"], "--type=merge", "-p", with_finalizers())
        self.rig.cluster.kubectl("patch", "cpool", self.pool, "--type=merge", "-p", with_finalizers(), check=False)
        self.rig.cluster.kubectl("delete", "cpool", self.pool, "--ignore-not-found")
        bindings = self.rig.get("clusterrolebinding")["items"]
        names = [b["metadata"]["name"] for b in bindings if b["metadata"]["name"].startswith(self.namespace)]
        for name in names:
            self.rig.cluster.kubectl("delete", "clusterrolebinding", name)


@pytest.fixture
def stage(installed: Rig, namespace: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(installed, namespace, tmp_path)
    yield made
    made.clear()


@pytest.fixture
def allowed(stage: Stage) -> Caller:
    """Who has the documented right in the whole cluster."""
    return stage.caller("allowed", "makini-abandon")


def test_everything_is_listed_before_it_is_let_go(stage: Stage, allowed: Caller) -> None:
    stage.connection("acme", **OPEN)
    stage.connection("borealis", intent={"incarnation": "x", "attempt": 1, "at": "2026-01-01T00:00:00Z"})
    stage.connection("corvus")
    stage.kubectl("delete", "mconn", "corvus", "--wait=false")
    said = allowed.call("--all", "--pool", stage.pool, "--dry-run")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.splitlines() == [
        f"{stage.namespace}/acme (pool {stage.pool}): connection con-4711 stays open at Makini, paid with 4 credits;",
        "    it and Secret acme-makini stay in the cluster until it is deleted",
        f"{stage.namespace}/borealis (pool {stage.pool}): {UNRECORDED};",
        "    it stays in the cluster until it is deleted",
        f"{stage.namespace}/corvus (pool {stage.pool}): nothing is open at Makini;",
        "    it then goes, because it is being deleted",
        f"pool {stage.pool}: no longer waits for its connections;",
        "    it stays in the cluster until it is deleted",
        f"left open at Makini, with tokens that work: 2 connections, 4 credits paid, {UNTIL}",
    ]
    for answer in ("n\n", ""):
        said = allowed.call("--all", "--pool", stage.pool, answer=answer)
        assert said.returncode == 1
        assert "Take the finalizers off 4 objects, and leave 2 connections open? [y/N]" in said.stdout
        assert "Aborted!" in said.stderr
    assert all(FINALIZER in each for each in stage.finalizers("acme", "borealis", "corvus"))
    said = allowed.call("--all", "--pool", stage.pool, answer="y\n")
    assert (said.returncode, said.stderr) == (0, "")
    assert f"{stage.namespace}/acme: abandoned" in said.stdout
    assert said.stdout.splitlines()[-1] == f"pool {stage.pool}: abandoned"
    assert stage.finalizers("acme", "borealis", "corvus") == [["example.com/other"]] * 3
    assert not stage.pool_is_held()
    assert allowed.call("--all", "--pool", stage.pool, "--yes").stdout == "nothing has a finalizer of the operator\n"


def test_who_has_not_the_right_is_told_so_and_nothing_is_let_go(stage: Stage) -> None:
    stage.connection("acme", **OPEN)
    said = stage.caller("editor", "edit", "test-pool-admin").call("--all", "--pool", stage.pool, "--yes")
    assert said.returncode == 1
    assert "without this finalizer whatever is open at Makini stays open, paid" in said.stderr
    assert "needed is the right to update makiniconnections/abandon" in said.stderr
    assert f"pool {stage.pool}: not abandoned, because a connection of it is not" in said.stderr
    assert said.stderr.splitlines()[-1] == "Error: 2 of 2 objects not abandoned"
    assert stage.finalizers("acme") == [[FINALIZER, "example.com/other"]]
    assert stage.pool_is_held()


def test_the_right_in_one_namespace_is_enough_for_one_connection_there(stage: Stage) -> None:
    caller = stage.caller("local", "makini-abandon", everywhere=False)
    stage.connection("acme", **OPEN)
    stage.connection("borealis", **OPEN)
    said = caller.call(f"{stage.namespace}/acme", "--yes")
    assert (said.returncode, said.stderr) == (0, "")
    assert stage.finalizers("acme", "borealis") == [["example.com/other"], [FINALIZER, "example.com/other"]]
    refused = caller.call("--all", "--yes")
    assert refused.returncode == 1
    assert re.fullmatch(
        r"Error: GET .*cannot list resource \"makiniconnections\".*at the cluster scope\n", refused.stderr
    )


def test_what_changes_after_it_was_shown_is_not_let_go(stage: Stage, allowed: Caller) -> None:
    stage.connection("acme", **OPEN)
    stage.connection("borealis")
    stage.connection("corvus", **OPEN)
    running = allowed.start("--all", "--pool", stage.pool)
    stage.kubectl("annotate", "mconn", "acme", "team=erp")
    stage.status("borealis", connectionID="con-4712")
    uid = stage.get("corvus")["metadata"]["uid"]
    stage.kubectl("patch", "mconn", "corvus", "--type=merge", "-p", with_finalizers())
    stage.kubectl("delete", "mconn", "corvus")
    stage.connection("corvus", **OPEN)
    assert stage.get("corvus")["metadata"]["uid"] != uid
    said, _ = running.communicate("y\n", timeout=30)
    assert running.returncode == 1, said
    changed = (
        "it has changed since: now connection con-4712 stays open at Makini, paid with 0 credits; look at it again"
    )
    assert f"{stage.namespace}/borealis: {changed}" in said
    assert stage.finalizers("acme", "borealis") == [["example.com/other"], [FINALIZER, "example.com/other"]]
    assert FINALIZER in stage.finalizers("corvus")[0]
    assert stage.pool_is_held()


def test_a_namespace_that_hangs_ends_when_its_connections_are_abandoned(stage: Stage, allowed: Caller) -> None:
    stage.connection("acme", **OPEN)
    stage.kubectl("patch", "mconn", "acme", "--type=merge", "-p", with_finalizers(FINALIZER))
    get = stage.rig.cluster.kubectl
    doomed = f"{stage.namespace}-doomed"
    get("create", "namespace", doomed)
    made = stage.get("acme")
    made["metadata"] = {"name": "acme", "namespace": doomed, "finalizers": [FINALIZER]}
    stage.rig.apply({key: made[key] for key in ("apiVersion", "kind", "metadata", "spec")})
    get("delete", "namespace", doomed, "--wait=false")
    wait_until(lambda: "deletionTimestamp" in stage.rig.get("mconn", "acme", "-n", doomed)["metadata"], 30)
    assert allowed.call(f"{doomed}/acme", "--yes").returncode == 0
    wait_until(lambda: get("get", "namespace", doomed, check=False).returncode != 0, 60, "the namespace to end")


def test_check_says_what_an_uninstall_would_strand(stage: Stage, installed: Rig, tmp_path: Path) -> None:
    operator = Caller(installed, tmp_path, SERVICE_ACCOUNT, OPERATOR_NAMESPACE)
    said = operator.call("--check", "--pool", stage.pool)
    assert (said.returncode, said.stdout) == (0, "nothing needs the operator: it can be uninstalled\n")
    said = operator.call("--check", "--with-pools", "--pool", stage.pool)
    assert said.returncode == 3
    assert "Not uninstalled: the operator is still needed by 1 pool." in said.stdout
    stage.connection("acme", **OPEN)
    said = operator.call("--check", "--pool", stage.pool)
    assert said.returncode == 3
    assert said.stdout.startswith(
        f"{stage.namespace}/acme: connection con-4711 stays open at Makini, paid with 4 credits\n"
    )
    for words in (
        "the operator is still needed by 1 connection.",
        "kubectl delete mconn -A --all",
        "helm uninstall --no-hooks",
    ):
        assert words in said.stdout
    assert FINALIZER in stage.finalizers("acme")[0]
    assert operator.call("--check").returncode == 3


def test_a_connection_that_is_not_there_is_an_error(stage: Stage, allowed: Caller) -> None:
    said = allowed.call(f"{stage.namespace}/nobody", "--yes")
    assert said.returncode == 1
    assert said.stderr == f"Error: there is no MakiniConnection nobody in namespace {stage.namespace}\n"


def test_without_a_cluster_it_says_what_it_looked_for(stage: Stage, tmp_path: Path) -> None:
    said = run(tmp_path / "missing", "--all")
    assert said.returncode == 1
    assert "Error: no cluster to talk to: set KUBECONFIG" in said.stderr
    stranger = stage.caller("stranger").call("--all")
    assert stranger.returncode == 1
    assert "cannot list resource" in stranger.stderr


def test_with_the_operator_gone_a_real_connection_stays_paid_and_its_resource_can_go(
    world: World, rig: Rig, tmp_path: Path, wait_until: Callable[..., object]
) -> None:
    world.make_pool()
    world.apply(world.connection("acme"))
    world.until_ready("acme")
    token = world.secret("acme-makini")["token"]
    rig.operator.kill()
    stage = Stage(rig, world.namespace, tmp_path)
    caller = stage.caller("allowed", "makini-abandon")
    world.delete("acme", wait=False)
    world.kubectl("delete", "cpool", world.pool, "--wait=false")
    said = caller.call("--all", "--pool", world.pool, "--yes")
    assert (said.returncode, said.stderr) == (0, "")
    assert "it and Secret acme-makini then go, because it is being deleted" in said.stdout
    assert "left open at Makini, with tokens that work: 1 connection, 1 credit paid" in said.stdout
    gone = ("mconn/acme", "secret/acme-makini", f"cpool/{world.pool}")
    for name in gone:
        kind, _, title = name.partition("/")
        wait_until(lambda k=kind, t=title: not objects.exists(world.rig.cluster, k, t, world.namespace), 30, name)
    (left,) = world.sandbox.connections()
    assert world.sandbox.accepts(token)
    world.sandbox.call("DELETE", f"/api/system/connections/{left['key']}")  # as the dashboard would
    stage.clear()
