"""A control plane with the CRDs, the operator's ServiceAccount, RBAC and policies, and the operator as a process."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.harness.process import Process, inherited
from tests.harness.sandbox import Sandbox
from tests.localkube import LocalKube, objects
from tests.localkube.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
OPERATOR_NAMESPACE = "makini-system"
SERVICE_ACCOUNT = "makini-operator"
OPERATOR_USER = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{SERVICE_ACCOUNT}"
CHART_FILES = ROOT / "charts/makini-operator/files"
RBAC = "rbac.authorization.k8s.io/v1"
_AGGREGATED = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}


class Rig:
    """Everything but the objects under test. `install()` once for each control plane."""

    def __init__(self, cluster: LocalKube, directory: Path) -> None:
        self.cluster = cluster
        self.directory = directory
        self.identity = f"rig-{directory.name}"
        self.through: str | None = None
        """The address of a proxy that the operator's calls to Kubernetes go through from its next start on."""
        self.operator = self._operator_process()

    def install(self) -> None:
        """CRDs, namespace, ServiceAccount, and the chart's rules, roles and policies; safe to repeat."""
        self.apply(*(yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))))
        wait_until(self._definitions_are_served, 30, lambda: "both kinds to be served")
        rules = yaml.safe_load((CHART_FILES / "cluster-rules.yaml").read_text())
        account = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": OPERATOR_NAMESPACE}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": SERVICE_ACCOUNT}
        own = {"name": SERVICE_ACCOUNT, "namespace": OPERATOR_NAMESPACE}
        own_rules = yaml.safe_load((CHART_FILES / "namespace-rules.yaml").read_text())
        self.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}},
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": SERVICE_ACCOUNT, "namespace": OPERATOR_NAMESPACE},
            },
            {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": SERVICE_ACCOUNT}, "rules": rules},
            {
                "apiVersion": RBAC,
                "kind": "ClusterRoleBinding",
                "metadata": {"name": SERVICE_ACCOUNT},
                "roleRef": role,
                "subjects": [account],
            },
            {"apiVersion": RBAC, "kind": "Role", "metadata": own, "rules": own_rules},
            {
                "apiVersion": RBAC,
                "kind": "RoleBinding",
                "metadata": own,
                "roleRef": role | {"kind": "Role"},
                "subjects": [account],
            },
            *tenant_roles(),
            *policies(),
        )
        wait_until(self._policies_are_in_force, 30, lambda: "the admission policies to be in force")

    def start_operator(self, *arguments: str) -> None:
        """Start the operator and wait until it has read the cluster. One that still runs is stopped first."""
        if self.operator.is_running:
            self.operator.stop()
        self.operator = self._operator_process(*arguments)
        kubeconfig = self.directory / "operator.kubeconfig"
        kubeconfig.write_text(json.dumps(self._kubeconfig()))
        self.operator.start()
        try:
            wait_until(self._has_read_cluster, 30, lambda: f"the operator to start\n{self.operator.text()[-3000:]}")
        except BaseException:
            self.operator.kill()
            raise

    def runs_with(self, *arguments: str) -> bool:
        """Whether an operator runs that was started so, and reaches Kubernetes without a proxy."""
        command = self._command("--identity", self.identity, *arguments)
        return self.operator.is_running and self.through is None and self.operator.command == command

    def another_operator(self, identity: str, *arguments: str) -> Process:
        """One more operator process beside the first, not started; its log is `<identity>.log`."""
        command = self._command("--identity", identity, *arguments)
        return Process(command, log=self.directory / f"{identity}.log", environment=self._environment())

    def apply(self, *manifests: dict[str, Any]) -> None:
        """As `kubectl apply --server-side`, as administrator."""
        rest = [manifest for manifest in manifests if not objects.apply(self.cluster, manifest)]
        if rest:
            listed = {"apiVersion": "v1", "kind": "List", "items": rest}
            self.cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(listed))

    def get(self, *arguments: str) -> dict[str, Any]:
        """What `kubectl get` with these arguments says as JSON."""
        found = objects.get(self.cluster, *arguments)
        return found or json.loads(self.cluster.kubectl("get", *arguments, "-o", "json").stdout)

    def account_secret(self, name: str, sandbox: Sandbox) -> dict[str, Any]:
        """The Secret with a sandbox's credentials, in the operator's namespace."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": OPERATOR_NAMESPACE},
            "stringData": {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret},
        }

    def _definitions_are_served(self) -> bool:
        """And are in what the server says that it serves: kubectl keeps for hours what it was told first."""
        for path, headers in (("/apis/makini.io/v1beta1", {}), ("/apis", _AGGREGATED)):
            answer = self.cluster.api.ask("GET", path, **headers)
            if not all(f'"{kind}"' in answer.text for kind in ("creditpools", "makiniconnections")):
                return False
        return True

    def _policies_are_in_force(self) -> bool:
        """Policies are loaded together, a moment after the last is stored; a refused dry run shows that they are."""
        labels = {"makini.io/connection": "nobody"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "probe", "namespace": "default", "labels": labels},
            "spec": {"containers": [{"name": "probe", "image": "none"}]},
        }
        _, text = self.cluster.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod)
        return "workflow-label.makini.io" in text

    def _has_read_cluster(self) -> bool:
        assert self.operator.is_running, "the operator has ended"
        return "Starting the watch-stream for makiniconnections" in self.operator.text()[self._said :]

    def _operator_process(self, *arguments: str) -> Process:
        log = self.directory / "operator.log"
        self._said = len(log.read_text(errors="replace")) if log.exists() else 0
        return Process(self._command("--identity", self.identity, *arguments), log=log, environment=self._environment())

    def _command(self, *arguments: str) -> list[str]:
        program = [sys.executable, "-m", "makini_operator", "run", "--namespace", OPERATOR_NAMESPACE]
        return [*program, "--log-level", "debug", *arguments]

    def _environment(self) -> dict[str, str]:
        return inherited(KUBECONFIG=str(self.directory / "operator.kubeconfig"))

    def _kubeconfig(self) -> dict[str, Any]:
        admin = json.loads(self.cluster.kubeconfig.read_text())
        token = objects.token_of(self.cluster, SERVICE_ACCOUNT, OPERATOR_NAMESPACE)
        context = {"cluster": admin["clusters"][0]["name"], "user": "operator"}
        cluster = admin["clusters"][0]
        if self.through:
            cluster = {"name": cluster["name"], "cluster": {"server": self.through}}
        return admin | {
            "clusters": [cluster],
            "users": [{"name": "operator", "user": {"token": token}}],
            "contexts": [{"name": "operator", "context": context}],
            "current-context": "operator",
        }


def tenant_roles() -> list[dict[str, Any]]:
    """The chart's roles that the cluster's own view, edit and admin pass on."""
    return [
        {
            "apiVersion": RBAC,
            "kind": "ClusterRole",
            "metadata": {
                "name": role["name"],
                "labels": {f"rbac.authorization.k8s.io/aggregate-to-{to}": "true" for to in role["aggregateTo"]},
            },
            "rules": role["rules"],
        }
        for role in yaml.safe_load((CHART_FILES / "tenant-roles.yaml").read_text())
    ]


def policies() -> list[dict[str, Any]]:
    """The chart's admission policies, for the operator's user in its namespace."""
    texts = (path.read_text() for path in sorted((CHART_FILES / "policies").glob("*.yaml")))
    for_us = (text.replace("@OPERATOR@", OPERATOR_USER).replace("@NAMESPACE@", OPERATOR_NAMESPACE) for text in texts)
    return [policy for text in for_us for policy in yaml.safe_load_all(text)]
