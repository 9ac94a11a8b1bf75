"""Manifests of pods, and what tests ask about them."""

import json
from typing import Any

from tests import images
from tests.localkube.waiting import wait_until
from tests.localnode import LocalNode
from tests.node.existing import ExistingCluster

Manifest = dict[str, Any]
Cluster = LocalNode | ExistingCluster

CONFINED: Manifest = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Pods:
    """The pods of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def apply(self, *manifests: Manifest) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.cluster.kubectl("apply", "-n", self.namespace, "-f", "-", input=json.dumps(listed))

    def run(
        self, name: str, *arguments: str, image: str = images.BUSYBOX, container: Manifest | None = None, **spec: Any
    ) -> None:
        """Create a pod with one container `main`; busybox gets its arguments as a shell script."""
        args = ["-c", *arguments] if image == images.BUSYBOX else list(arguments)
        main = {"name": "main", "image": image, "imagePullPolicy": "Never", "args": args} | (container or {})
        defaults = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [main]}
        meta = {"name": name, "labels": {"app": name}}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": defaults | spec})

    def claim(self, name: str) -> None:
        """Ask for a volume of the cluster's default class."""
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        self.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})

    def get(self, kind: str, name: str) -> Manifest:
        found: Manifest = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl(*arguments, "-n", self.namespace).stdout

    def execute(self, name: str, script: str) -> str:
        return self.cluster.kubectl("exec", "-n", self.namespace, name, "--", "sh", "-c", script).stdout

    def python(self, name: str, program: str, *arguments: str) -> str:
        """What a program says in a pod of one of our images, which have no shell."""
        command = ("/usr/local/bin/python3", "-c", program, *arguments)
        return self.cluster.kubectl("exec", "-n", self.namespace, name, "--", *command).stdout

    def logs(self, name: str) -> str:
        return self.kubectl("logs", name)

    def until_ready(self, name: str, seconds: float = 30) -> None:
        wait_until(lambda: _is_ready(self.get("pod", name)), seconds, lambda: self.kubectl("describe", "pod", name))

    def until_done(self, name: str, seconds: float = 30) -> str:
        """Wait until the pod has ended well; returns what it wrote."""

        def phase() -> str:
            found: str = self.get("pod", name)["status"].get("phase", "")
            return found

        wait_until(lambda: phase() in {"Succeeded", "Failed"}, seconds, lambda: self.kubectl("describe", "pod", name))
        assert phase() == "Succeeded", self.logs(name)
        return self.logs(name)


def _is_ready(pod: Manifest) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
