"""A pod that reads its token from the mounted file: not one call fails through three rotations, each with a kill."""

import json
from datetime import UTC, datetime

from tests import images
from tests.harness.rig import OPERATOR_NAMESPACE
from tests.localkube.waiting import wait_until
from tests.node.pods import CONFINED, Manifest
from tests.node.test_workflows import Tenant, release, tenant  # noqa: F401 - fixtures

CALL_FOREVER = """
import os, time, urllib.error, urllib.request
tokens, calls = [], 0
while True:
    token = open("/var/run/secrets/makini.io/token").read()
    if token not in tokens:
        tokens.append(token)
        print("token", len(tokens), flush=True)
    url = open("/var/run/secrets/makini.io/url").read() + "/api/erp/purchase-orders"
    call = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
    try:
        status = urllib.request.urlopen(call).status
    except urllib.error.HTTPError as error:
        status = error.code
    calls += 1
    if status != 200:
        print("failed", status, flush=True)
    if calls % 20 == 0:
        print("calls", calls, flush=True)
    time.sleep(0.05)
"""
IDLE: Manifest = {"containers": [{"name": "main", "image": images.OPERATOR, "imagePullPolicy": "Never"}]}


def test_a_pod_that_reads_its_mounted_file_never_fails_through_three_rotations(tenant: Tenant) -> None:  # noqa: F811
    tenant.connect_with(IDLE)
    tenant.pods.kubectl("patch", "mconn", "acme", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    tenant.pods.run(
        "consumer",
        image=images.OPERATOR,
        container={
            "command": ["/usr/local/bin/python3", "-u", "-c", CALL_FOREVER],
            "args": [],
            "securityContext": CONFINED | {"runAsUser": 12345},
            "volumeMounts": [{"name": "makini", "mountPath": "/var/run/secrets/makini.io", "readOnly": True}],
        },
        volumes=[{"name": "makini", "secret": {"secretName": "acme-makini", "defaultMode": 0o444}}],
    )
    until_said(tenant, "calls 20")
    for number in (1, 2, 3):
        moment = datetime.now(UTC).isoformat()
        tenant.pods.kubectl("annotate", "mconn", "acme", f"makini.io/rotate-requested-at={moment}", "--overwrite")
        kill_operator(tenant)
        wait_until(lambda n=number: attempt(tenant) >= n, 60, tenant.seen)
        # the kubelet looks about once a minute, and at once when the pod changes
        tenant.pods.kubectl("annotate", "pod", "consumer", f"example.com/look={number}", "--overwrite")
        until_said(tenant, f"token {number + 1}")
        before = calls(tenant)
        wait_until(lambda before=before: calls(tenant) > before, 60, tenant.seen)
    said = tenant.pods.logs("consumer")
    assert "failed" not in said
    assert calls(tenant) >= 60


def until_said(tenant: Tenant, words: str) -> None:  # noqa: F811
    wait_until(lambda: words in tenant.pods.logs("consumer"), 150, tenant.seen)


def calls(tenant: Tenant) -> int:  # noqa: F811
    lines = [line for line in tenant.pods.logs("consumer").splitlines() if line.startswith("calls")]
    return int(lines[-1].split()[1]) if lines else 0


def attempt(tenant: Tenant) -> int:  # noqa: F811
    status = json.loads(tenant.pods.kubectl("get", "mconn", "acme", "-o", "json"))["status"]
    return int(status.get("token", {}).get("attempt", 0))


def kill_operator(tenant: Tenant) -> None:  # noqa: F811
    """With no grace: the container gets SIGKILL."""
    selector = ("-l", "app.kubernetes.io/name=makini-operator")
    where = ("-n", OPERATOR_NAMESPACE, "--grace-period=0", "--force", "--wait=false")
    assert "deleted" in tenant.node.kubectl("delete", "pod", *selector, *where).stdout
