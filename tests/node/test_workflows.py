"""A workflow's pod where it runs: it uses the token that is mounted in it, and is gone soon after the disconnect.

Its CronJob fires as in life; the operator and the sandbox run from the chart.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests import images
from tests.harness.rig import OPERATOR_NAMESPACE
from tests.localkube.waiting import wait_until
from tests.node import tenants
from tests.node.pods import CONFINED, Cluster, Manifest
from tests.node.tenants import GONE_SECONDS, SANDBOX, VALUES
from tests.tools.helm import Helm

POOL = "of-workflows"

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


class Tenant(tenants.Tenant):
    """Its connection has one workflow, which is due each minute."""

    def connect_with(self, pod: Manifest) -> None:
        """Connect; each run of the workflow is such a pod."""
        jobs = {"spec": {"backoffLimit": 6, "template": {"spec": {"restartPolicy": "Never"} | pod}}}
        self.connect(workflows=[{"name": "orders", "schedule": "* * * * *", "jobTemplate": jobs}])

    def until_said(self, where: str, word: str) -> str:
        """Wait until a container of the run has written this; returns all that it wrote."""
        (pod,) = self.items("pods")
        logs = ("logs", pod["metadata"]["name"], "-c", where, "-n", self.pods.namespace)
        wait_until(lambda: word in self.node.kubectl(*logs, check=False).stdout, 30, self.seen)
        return self.node.kubectl(*logs).stdout


@pytest.fixture(scope="module")
def release(node: Cluster, helm: Helm) -> Iterator[Cluster]:
    """The chart with the sandbox on, and a pool."""
    with tenants.installed(node, helm, POOL, VALUES):
        yield node


@pytest.fixture
def tenant(release: Cluster, namespace: str) -> Iterator[Tenant]:
    made = Tenant(release, namespace, POOL)
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
    tenant.connect_with(pod)
    tenant.fire()
    wait_until(tenant.runs, 30, tenant.seen)
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
