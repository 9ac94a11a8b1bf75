"""The images in pods that are confined as the chart's is."""

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
    address = start_sandbox(pods)
    login = json.dumps({"grant_type": "client_credentials", "client_id": "client", "client_secret": "secret"})
    pods.run("customer", post(f"{address}/link/token", login))
    assert '"access_token"' in pods.until_done("customer")


def test_a_sync_loads_a_volume(node: Cluster, namespace: str, sync_image: str) -> None:
    pods = Pods(node, namespace)
    pods.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "makini"},
            "spec": {"selector": {"app": "sandbox"}, "ports": [{"port": 80, "targetPort": 8081}]},
        }
    )
    start_sandbox(pods)
    address = f"http://makini.{namespace}.svc"
    login = json.dumps({"grant_type": "client_credentials", "client_id": "client", "client_secret": "secret"})
    acme = {"name": "Acme", "email": "it@acme.example", "provider": "sap-ecc", "credentials": {"login": "l"}}
    extracted = """sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/'"""
    connect = post(f"{address}/api/system/connections", json.dumps(acme), "Authorization: Bearer $token")
    pods.run("customer", f"token=$({post(f'{address}/link/token', login)} | {extracted}); {connect} | {extracted}")
    connection = pods.until_done("customer").strip()

    volumes = {"volume": "/volume", "tmp": "/tmp"}  # noqa: S108 - of the pod
    container: Manifest = CONFINED_MAIN | {
        "image": sync_image,
        "imagePullPolicy": "Never",
        "env": [{"name": name, "value": "/tmp"} for name in ("HOME", "TMPDIR")]  # noqa: S108 - of the pod
        + [{"name": "MAKINI_TOKEN", "value": connection}],
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in volumes.items()],
    }
    destination = ["--destination", "duckdb", "--duckdb-folder", "/volume", "--dataset", "acme"]
    source = ["--url", address, "--connection-id", "acme", "--window", "all", "--entity", "erp/purchase-orders"]
    pods.run(
        "sync",
        *("history", "show", *destination),
        image=sync_image,
        container=container,
        initContainers=[container | {"name": "sync", "args": ["sync", *source, *destination]}],
        volumes=[{"name": name, "emptyDir": {}} for name in volumes],
    )
    rows = dict(line.split("\t") for line in pods.until_done("sync", 120).splitlines())
    assert int(rows["erp_purchase_orders"]) > 0
    assert int(rows["erp_purchase_orders_line_items"]) > int(rows["erp_purchase_orders"])


def start_sandbox(pods: Pods) -> str:
    """A sandbox in a pod of that name; returns its address."""
    variables = [{"name": name, "value": value} for name, value in CLIENT.items()]
    container = CONFINED_MAIN | {"env": variables, "readinessProbe": {"tcpSocket": {"port": 8081}, "periodSeconds": 1}}
    pods.run("sandbox", "--listen", "0.0.0.0:8081", image=images.SANDBOX, container=container)
    pods.until_ready("sandbox")
    return f"http://{pods.get('pod', 'sandbox')['status']['podIP']}:8081"


def post(url: str, body: str, *headers: str) -> str:
    """What a shell has to do to send JSON."""
    given = " ".join(f'--header "{header}"' for header in ("Content-Type: application/json", *headers))
    return f"wget -q -O - {given} --post-data '{body}' {url}"


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
