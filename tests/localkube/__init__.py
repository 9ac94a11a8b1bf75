"""A real Kubernetes control plane for tests, the demo and trying things out.

etcd, kube-apiserver, kube-controller-manager and kubectl, built once from their Go
modules and cached; no container engine, nothing outside loopback, ready in seconds.
Standard library only: it runs before any virtual environment exists.

    with LocalKube.start(directory) as cluster:
        cluster.kubectl("apply", "-f", "crds/")

On the command line: ``python3 -m tests.localkube build|up|down|status``.
"""

from tests.localkube.cluster import LocalKube
from tests.localkube.errors import LocalKubeError

__all__ = ["LocalKube", "LocalKubeError"]
