"""A workflow's pod where it runs: it uses the token that is mounted in it, and is gone soon after the disconnect.

Its CronJob fires as in life; the operator and the sandbox run from the chart.
"""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests import images
from tests.harness.rig import OPERATOR_NAMESPACE
from tests.localkube.waiting import wait_until
from tests.node.pods import CONFINED, Cluster, Manifest, Pods
from tests.tools.helm import CHART, RELEASE, Helm

REPOSITORY, _, TAG = images.OPERATOR.rpartition(":")
VALUES: Manifest = {
    "image": {"repository": REPOSITORY, "tag": TAG, "pullPolicy": "Never"},
    "sandbox": {"enabled": True},
    "operator": {"accountRelistSeconds": 2},
}
SANDBOX = "makini-sandbox"
POOL = "of-workflows"
GONE_SECONDS = 5

CALL_ONCE = """
import os, urllib.request
token = open(os.environ["MAKINI_TOKEN_FILE"]).read()
url = os.environ["MAKINI_ENDPOINT"] + "/api/erp/purchase-orders"
call = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
print(os.getuid(), urllib.request.urlopen(call).status)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf")
time.sleep(3600)
"""
CALL_AND_STAY = f"{CALL_ONCE}{DEAF}"


def container(name: str, program: str, **more: Any) -> Manifest:
    return {
        "name": name,
        "image": images.OPERATOR,
        "imagePullPolicy": "Never",
        "command": ["/usr/local/bin/python3", "-u", "-c", program],
        "securityContext": CONFINED | {"runAsUser": 12345},
    } | more


RUNNING: Manifest = {
    "initContainers": [container("first", CALL_ONCE)],
    "containers": [container("main", CALL_AND_STAY)],
}
"""It has the usual 30 s of grace, and needs them all."""
PATIENT: Manifest = RUNNING | {"terminationGracePeriodSeconds": 3600}
"""The same, with an hour."""
STARTING: Manifest = {
    "terminationGracePeriodSeconds": 3600,
    "initContainers": [container("first", CALL_AND_STAY)],
    "containers": [container("main", CALL_ONCE)],
}
"""Its init container never ends, and it asks for an hour."""
STUCK: Manifest = {
    "terminationGracePeriodSeconds": 3600,
    "containers": [container("main", CALL_ONCE, image="localhost/nobody-has:this")],
}
"""It cannot start: nobody has its image."""


class Tenant:
    """A namespace with one connection, which has one workflow."""

    def __init__(self, node: Cluster, namespace: str) -> None:
        self.node, self.pods = node, Pods(node, namespace)

    def connect(self, pod: Manifest) -> None:
        spec = {
            "poolRef": {"name": POOL},
            "system": {"name": "fiix", "deployment": "Cloud"},
            "environment": "Production",
            "customer": {"name": "Acme"},
            "authorization": {"credentials": {"secretRef": {"name": "login"}}},
        }
        jobs = {"spec": {"backoffLimit": 6, "template": {"spec": {"restartPolicy": "Never"} | pod}}}
        spec["workflows"] = [{"name": "orders", "schedule": "* * * * *", "jobTemplate": jobs}]
        login = {"api": "https://erp.acme.example", "login": "makini", "password": "not-a-real-one"}
        self.pods.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": login},
            {"apiVersion": "makini.io/v1beta1", "kind": "MakiniConnection", "metadata": {"name": "acme"}, "spec": spec},
        )
        self.pods.kubectl("wait", "mconn", "acme", "--for=condition=Ready", "--timeout=30s")

    def fire(self) -> None:
        """A schedule that was missed is made up for at once, so nobody has to wait for the next minute."""
        (cron,) = self.items("cronjobs")
        missed = (datetime.now(UTC) - timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
        patch = json.dumps({"status": {"lastScheduleTime": missed}})
        self.pods.kubectl(
            "patch", "cronjob", cron["metadata"]["name"], "--subresource=status", "--type=merge", "-p", patch
        )
        wait_until(lambda: self.items("pods"), 30, self.seen)

    def until_said(self, where: str, word: str) -> str:
        """Wait until a container of the run has written this; returns all that it wrote."""
        (pod,) = self.items("pods")
        logs = ("logs", pod["metadata"]["name"], "-c", where, "-n", self.pods.namespace)
        wait_until(lambda: word in self.node.kubectl(*logs, check=False).stdout, 30, self.seen)
        return self.node.kubectl(*logs).stdout

    def items(self, kinds: str) -> list[Manifest]:
        found: list[Manifest] = json.loads(self.pods.kubectl("get", kinds, "-o", "json"))["items"]
        return found

    def seconds_until_gone(self) -> float:
        """Disconnect, and measure how long the pod stays."""
        started = time.monotonic()
        self.pods.kubectl("patch", "mconn", "acme", "--type=merge", "-p", '{"spec":{"connected":false}}')
        wait_until(lambda: not self.items("pods"), 40, self.seen)
        return time.monotonic() - started

    def seen(self) -> str:
        return self.pods.kubectl("get", "mconn,cronjobs,jobs,pods", "-o", "wide")


@pytest.fixture(scope="module")
def release(node: Cluster, helm: Helm) -> Iterator[Cluster]:
    """The chart with the sandbox on, and a pool; at the end nothing of it is left but the definitions."""
    left = ("get", f"ns/{OPERATOR_NAMESPACE}", f"clusterrole/{RELEASE}", "--ignore-not-found")
    wait_until(lambda: not node.kubectl(*left).stdout, 60, "what other tests installed to be gone")
    install = ("--create-namespace", "--take-ownership", "--wait", "--timeout=60s")
    helm("install", RELEASE, str(CHART), *install, values=VALUES)
    account = {"url": f"http://{SANDBOX}.{OPERATOR_NAMESPACE}.svc", "credentialsSecretRef": {"name": SANDBOX}}
    spec = {"credits": 12, "account": account}
    pool = {"apiVersion": "makini.io/v1beta1", "kind": "CreditPool", "metadata": {"name": POOL}, "spec": spec}
    node.kubectl("apply", "-f", "-", input=json.dumps(pool))
    yield node
    node.kubectl("delete", "cpool", POOL, "--timeout=60s")
    helm("uninstall", RELEASE, "--wait", "--timeout=60s")
    node.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--timeout=60s")


@pytest.fixture
def tenant(release: Cluster, namespace: str) -> Iterator[Tenant]:
    made = Tenant(release, namespace)
    yield made
    made.pods.kubectl("delete", "mconn", "--all", "--timeout=60s")


def look_for_makini_at(node: Cluster, service: str, *, reachable: bool) -> None:
    """Where nobody answers, Makini is down for the operator."""
    change = json.dumps({"spec": {"account": {"url": f"http://{service}.{OPERATOR_NAMESPACE}.svc"}}})
    node.kubectl("patch", "cpool", POOL, "--type=merge", "-p", change)
    node.kubectl("wait", "cpool", POOL, f"--for=condition=AccountReachable={reachable}", "--timeout=30s")


@pytest.mark.parametrize(
    ("makini", "pod", "where"),
    [("up", RUNNING, "main"), ("down", PATIENT, "main"), ("up", STARTING, "first"), ("up", STUCK, "")],
    ids=["running", "running with an hour of grace, Makini down", "starting", "stuck"],
)
def test_the_pod_of_a_workflow_is_gone_within_five_seconds_of_the_disconnect(
    tenant: Tenant, makini: str, pod: Manifest, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tenant.connect(pod)
    tenant.fire()
    if where:
        assert tenant.until_said(where, "deaf").split() == ["12345", "200", "deaf"]
    if makini == "down":
        look_for_makini_at(tenant.node, "nowhere", reachable=False)

    try:
        seconds = tenant.seconds_until_gone()
        left = tenant.items("cronjobs,jobs,pods")
        secrets = {secret["metadata"]["name"] for secret in tenant.items("secrets")}
    finally:
        if makini == "down":
            look_for_makini_at(tenant.node, SANDBOX, reachable=True)

    with capsys.disabled():
        print(f"\nMakini {makini}: the pod was gone {seconds:.1f} s after the disconnect")  # noqa: T201 - measured
    assert seconds < GONE_SECONDS
    assert left == []
    assert "acme-makini" not in secrets
    tenant.pods.kubectl("wait", "mconn", "acme", "--for=jsonpath={.status.phase}=Disconnected", "--timeout=60s")
    assert tenant.items("cronjobs,jobs,pods") == [], "nothing is started again"
