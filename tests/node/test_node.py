"""What the node can be relied on for: each test names a thing that a real cluster does and a control plane cannot."""

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests import images
from tests.localkube.waiting import wait_until
from tests.node.existing import EXISTING
from tests.node.pods import CONFINED, Cluster, Manifest, Pods

ASK_THE_API_SERVER = """
import json, os, ssl, sys, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
token = open(f"{folder}/token").read()
trusted = ssl.create_default_context(cafile=f"{folder}/ca.crt")
headers = {"Authorization": f"Bearer {token}"}
for path in sys.argv[1:]:
    request = urllib.request.Request(f"https://kubernetes.default.svc{path}", headers=headers)
    try:
        print(urllib.request.urlopen(request, context=trusted).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


@pytest.fixture
def pods(node: Cluster, namespace: str) -> Pods:
    return Pods(node, namespace)


def test_a_pod_runs_and_answers_to_logs_and_exec(pods: Pods) -> None:
    pods.run("one", "echo started; sleep 600")
    pods.until_ready("one")
    wait_until(lambda: pods.logs("one") == "started\n", 10, "its log")
    assert pods.execute("one", "echo from inside") == "from inside\n"


def test_a_service_has_a_name_and_leads_to_its_pod(pods: Pods) -> None:
    pods.run("web", "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp")
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    pods.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
    pods.until_ready("web")
    address = f"http://web.{pods.namespace}.svc.cluster.local/"
    pods.run("client", f"until wget -q -O - {address}; do sleep 0.2; done")
    assert pods.until_done("client") == "hello\n"


def test_a_changed_secret_arrives_in_the_pod_within_ten_seconds(pods: Pods) -> None:
    def secret(value: str) -> Manifest:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"value": value}}

    pods.apply(secret("first"))
    volume = {"name": "token", "secret": {"secretName": "token"}}
    mount = {"name": "token", "mountPath": "/token", "readOnly": True}
    pods.run("reader", "sleep 600", container={"volumeMounts": [mount]}, volumes=[volume])
    pods.until_ready("reader")
    assert pods.execute("reader", "cat /token/value") == "first"
    pods.apply(secret("second"))
    wait_until(lambda: pods.execute("reader", "cat /token/value") == "second", 10, "the second value")


def test_a_service_account_may_what_its_role_says_and_nothing_else(pods: Pods) -> None:
    rbac = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": "reader", "namespace": pods.namespace}
    pods.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "Role",
            "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"},
            "subjects": [account],
        },
    )
    base = f"/api/v1/namespaces/{pods.namespace}"
    command = ["/usr/local/bin/python3", "-c", ASK_THE_API_SERVER, f"{base}/configmaps", f"{base}/secrets"]
    pods.run("asks", image=images.OPERATOR, container={"command": command}, serviceAccountName="reader")
    assert pods.until_done("asks").split() == ["200", "403"]


def test_a_cron_job_makes_a_job_that_runs_a_pod(pods: Pods) -> None:
    container = {
        "name": "main",
        "image": images.BUSYBOX,
        "imagePullPolicy": "Never",
        "args": ["-c", "echo the schedule came"],
    }
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {"template": pod}}}
    pods.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "every-minute"}, "spec": spec})
    # A schedule that was missed is made up for at once, so nobody has to wait for the next minute.
    missed = (datetime.now(UTC) - timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = json.dumps({"status": {"lastScheduleTime": missed}})
    pods.kubectl("patch", "cronjob", "every-minute", "--subresource=status", "--type=merge", "-p", patch)

    def succeeded() -> str:
        jobs = json.loads(pods.kubectl("get", "jobs", "-o", "json"))["items"]
        return next((job["metadata"]["name"] for job in jobs if job["status"].get("succeeded")), "")

    job = wait_until(succeeded, 30, lambda: pods.kubectl("get", "cronjobs,jobs,pods"))
    assert pods.kubectl("logs", f"job/{job}") == "the schedule came\n"


def test_a_confined_pod_has_no_power_and_cannot_write(pods: Pods) -> None:
    script = "id -u; touch /file || echo refused; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"
    pods.run("confined", script, container={"securityContext": CONFINED | {"runAsUser": 65532}})
    lines = [line.split() for line in pods.until_done("confined").splitlines()]
    assert ["65532"] in lines
    assert ["refused"] in lines
    assert {line[0]: line[1] for line in lines if len(line) == 2} == {
        "CapEff:": "0000000000000000",
        "CapBnd:": "0000000000000000",
        "NoNewPrivs:": "1",
        "Seccomp:": "2",
    }


def test_a_pod_that_must_not_be_root_is_not_started_as_root(pods: Pods) -> None:
    pods.run("root", "true", container={"securityContext": CONFINED})

    def reason() -> str:
        (status,) = pods.get("pod", "root")["status"]["containerStatuses"]
        found: str = status["state"]["waiting"]["reason"]
        return found

    wait_until(lambda: _or_nothing(reason) == "CreateContainerConfigError", 20, "the refusal")


def test_a_claim_gets_a_volume_that_outlives_the_pod(pods: Pods) -> None:
    pods.claim("data")
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    pods.run("writer", "echo kept > /data/file", container=mount, volumes=[volume])
    pods.until_done("writer")
    pods.kubectl("delete", "pod", "writer")
    pods.run("reader", "cat /data/file", container=mount, volumes=[volume])
    assert pods.until_done("reader") == "kept\n"


WRITE = "mkdir -p /data/made && echo kept > /data/made/file && cat /data/made/file || echo refused"
AS_SOMEBODY: Manifest = {
    "securityContext": CONFINED | {"runAsUser": 65532, "runAsGroup": 65532},
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
}
DATA: Manifest = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}


def test_a_pod_that_is_not_root_writes_to_the_volume_of_its_group(pods: Pods) -> None:
    pods.claim("data")
    pods.run("member", WRITE, container=AS_SOMEBODY, volumes=[DATA], securityContext={"fsGroup": 65532})
    assert pods.until_done("member") == "kept\n"


@pytest.mark.skipif(EXISTING in os.environ, reason="the folders of kind's default class are writable for everybody")
def test_a_pod_that_is_not_root_and_has_no_group_cannot_write_to_a_volume(pods: Pods) -> None:
    pods.claim("data")
    pods.run("stranger", WRITE, container=AS_SOMEBODY, volumes=[DATA])
    assert "refused" in pods.until_done("stranger").splitlines()


def test_a_failing_probe_restarts_the_container(pods: Pods) -> None:
    probe = {"exec": {"command": ["test", "-f", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1}  # noqa: S108
    container = {"livenessProbe": probe}
    pods.run("fragile", "touch /tmp/alive; sleep 600", container=container, restartPolicy="Always")
    pods.until_ready("fragile")
    pods.execute("fragile", "rm /tmp/alive")
    wait_until(lambda: pods.get("pod", "fragile")["status"]["containerStatuses"][0]["restartCount"] >= 1, 20, "restart")


@pytest.fixture
def greeter(node: Cluster) -> Iterator[str]:
    """The address of a web server on this machine, as pods reach it."""

    class Greeter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello from the host\n")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer((node.host_address, 0), Greeter) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{node.host_address}:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_pod_reaches_a_server_on_the_host(pods: Pods, greeter: str) -> None:
    pods.run("caller", f"wget -q -O - {greeter}")
    assert pods.until_done("caller") == "hello from the host\n"


def _or_nothing(ask: object) -> str:
    try:
        return ask()  # type: ignore[operator]
    except (KeyError, ValueError):
        return ""
