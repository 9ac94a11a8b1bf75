"""The operator's image in a pod that is confined as the chart's is."""

import json

import yaml
from tests import images
from tests.harness.rig import ROOT
from tests.localkube.waiting import wait_until
from tests.node.pods import CONFINED, Cluster, Manifest, Pods

CLIENT = {"MAKINI_SANDBOX_CLIENT_ID": "client", "MAKINI_SANDBOX_CLIENT_SECRET": "secret"}
CONFINED_MAIN: Manifest = {"securityContext": CONFINED}


def test_the_image_says_its_version(node: Cluster, namespace: str) -> None:
    pods = Pods(node, namespace)
    pods.run("version", "--version", image=images.OPERATOR, container=CONFINED_MAIN)
    version = next(line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version"))
    assert pods.until_done("version").split()[-1] == version.split('"')[1]


def test_the_sandbox_answers_requests(node: Cluster, namespace: str) -> None:
    pods = Pods(node, namespace)
    variables = [{"name": name, "value": value} for name, value in CLIENT.items()]
    container = CONFINED_MAIN | {"env": variables, "readinessProbe": {"tcpSocket": {"port": 8081}, "periodSeconds": 1}}
    pods.run("sandbox", "--listen", "0.0.0.0:8081", image=images.SANDBOX, container=container)
    pods.until_ready("sandbox")
    address = f"http://{pods.get('pod', 'sandbox')['status']['podIP']}:8081"
    login = json.dumps({"grant_type": "client_credentials", "client_id": "client", "client_secret": "secret"})
    options = f"-q -O - --header 'Content-Type: application/json' --post-data '{login}'"
    pods.run("customer", f"wget {options} {address}/link/token")
    assert '"access_token"' in pods.until_done("customer")


def test_the_operator_reads_the_cluster_although_unused_models_are_left_out(node: Cluster, namespace: str) -> None:
    pods = Pods(node, namespace)
    definitions = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    files = (ROOT / "charts/makini-operator/files" / name for name in ("cluster-rules.yaml", "namespace-rules.yaml"))
    rules = [rule for file in files for rule in yaml.safe_load(file.read_text())]
    rbac = "rbac.authorization.k8s.io"
    name = f"operator-of-{namespace}"
    account = {"kind": "ServiceAccount", "name": "operator", "namespace": namespace}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": name}
    pods.apply(
        *definitions,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": role,
            "subjects": [account],
        },
    )
    pods.run(
        "operator",
        *("run", "--namespace", namespace, "--log-level", "debug"),
        image=images.OPERATOR,
        container=CONFINED_MAIN,
        serviceAccountName="operator",
    )
    pods.until_ready("operator")
    said = "Starting the watch-stream for makiniconnections"
    wait_until(lambda: said in pods.logs("operator"), 20, lambda: pods.logs("operator")[-3000:])
    node.kubectl("delete", "clusterrolebinding,clusterrole", name)
