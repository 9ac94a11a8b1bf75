"""A real one-node Kubernetes for tests and trying things out, without a container engine.

The control plane of `tests.localkube`, kube-scheduler, kubelet, kube-proxy, CoreDNS and
Debian's containerd, in network, mount and process namespaces of their own. Needs root on
a Linux with cgroups of version 1, and says so where that is missing.

    with LocalNode.start(directory) as node:
        node.load_image(images.operator())
        node.kubectl("apply", "-f", "pod.yaml")

On the command line: ``python3 -m tests.localnode build|up|down|status``.
"""

from tests.localnode.node import LocalNode
from tests.localnode.requirements import CannotRunError

__all__ = ["CannotRunError", "LocalNode"]
