"""What tests of a connection's pods share: the chart with its sandbox on, and a tenant whose connection has runs."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests import images
from tests.harness.rig import OPERATOR_NAMESPACE
from tests.localkube.waiting import wait_until
from tests.node.pods import Cluster, Manifest, Pods
from tests.tools.helm import CHART, RELEASE, Helm

REPOSITORY, _, TAG = images.OPERATOR.rpartition(":")
VALUES: Manifest = {
    "image": {"repository": REPOSITORY, "tag": TAG, "pullPolicy": "Never"},
    "sandbox": {"enabled": True},
    "operator": {"accountRelistSeconds": 2},
}
SANDBOX = "makini-sandbox"
GONE_SECONDS = 5
"""Within so many seconds of a disconnect the pods of a connection are gone."""


@contextmanager
def installed(node: Cluster, helm: Helm, pool: str, values: Manifest) -> Iterator[None]:
    """The chart, and a pool of that name; at the end nothing of it is left but the definitions."""
    left = ("get", f"ns/{OPERATOR_NAMESPACE}", f"clusterrole/{RELEASE}", "--ignore-not-found")
    wait_until(lambda: not node.kubectl(*left).stdout, 60, "what other tests installed to be gone")
    install = ("--create-namespace", "--take-ownership", "--wait", "--timeout=60s")
    helm("install", RELEASE, str(CHART), *install, values=values)
    account = {"url": f"http://{SANDBOX}.{OPERATOR_NAMESPACE}.svc", "credentialsSecretRef": {"name": SANDBOX}}
    spec = {"credits": 12, "account": account}
    manifest = {"apiVersion": "makini.io/v1beta1", "kind": "CreditPool", "metadata": {"name": pool}, "spec": spec}
    node.kubectl("apply", "-f", "-", input=json.dumps(manifest))
    yield
    node.kubectl("delete", "cpool", pool, "--timeout=60s")
    helm("uninstall", RELEASE, "--wait", "--timeout=60s")
    node.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--timeout=60s")


class Tenant:
    """A namespace with one connection, `acme`, to a system of one credit."""

    def __init__(self, node: Cluster, namespace: str, pool: str) -> None:
        self.node, self.pods, self._pool = node, Pods(node, namespace), pool

    def connect(self, **spec: Any) -> None:
        """Declare the connection, with these fields beside the usual ones, and wait until it is Ready."""
        usual = {
            "poolRef": {"name": self._pool},
            "system": {"name": "fiix", "deployment": "Cloud"},
            "environment": "Production",
            "customer": {"name": "Acme"},
            "authorization": {"credentials": {"secretRef": {"name": "login"}}},
        }
        login = {"api": "https://erp.acme.example", "login": "makini", "password": "not-a-real-one"}
        self.pods.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": login},
            {
                "apiVersion": "makini.io/v1beta1",
                "kind": "MakiniConnection",
                "metadata": {"name": "acme"},
                "spec": usual | spec,
            },
        )
        self.until_ready()

    def until_ready(self) -> None:
        self.pods.kubectl("wait", "mconn", "acme", "--for=condition=Ready", "--timeout=30s")

    def fire(self) -> None:
        """A schedule that was missed is made up for at once, so nobody has to wait for the next minute."""
        missed = (datetime.now(UTC) - timedelta(seconds=240)).strftime("%Y-%m-%dT%H:%M:%SZ")
        patch = json.dumps({"status": {"lastScheduleTime": missed}})
        for cron in self.items("cronjobs"):
            name = cron["metadata"]["name"]
            self.pods.kubectl("patch", "cronjob", name, "--subresource=status", "--type=merge", "-p", patch)

    def patch(self, **spec: Any) -> None:
        """Change these fields of the connection's spec."""
        self.pods.kubectl("patch", "mconn", "acme", "--type=merge", "-p", json.dumps({"spec": spec}))

    def status(self) -> Manifest:
        found: Manifest = self.pods.get("mconn", "acme").get("status", {})
        return found

    def runs(self) -> list[Manifest]:
        """The pods of the connection's runs, also those that have ended."""
        return self.items("pods", "-l", "makini.io/connection=acme")

    def items(self, kinds: str, *selected: str) -> list[Manifest]:
        found: list[Manifest] = json.loads(self.pods.kubectl("get", kinds, *selected, "-o", "json"))["items"]
        return found

    def seconds_until_gone(self) -> float:
        """Disconnect, and measure how long the pods of runs stay from when Kubernetes has taken the wish."""
        self.patch(connected=False)
        started = time.monotonic()
        wait_until(lambda: not self.runs(), 40, self.seen)
        return time.monotonic() - started

    def seen(self) -> str:
        return self.pods.kubectl("get", "mconn,cronjobs,jobs,pods", "-o", "wide")
