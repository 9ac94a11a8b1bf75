"""What a node consists of besides the control plane and the system's packages: two more Go programs."""

from pathlib import Path

from tests.localkube import build
from tests.localkube.build import KUBERNETES, Program

_HERE = Path(__file__).parent


def node() -> Program:
    """kube-scheduler, kubelet and kube-proxy in one; most of it was compiled for the control plane already."""
    return Program(
        "localnode", f"the node's half of Kubernetes {KUBERNETES}", build.MODULE, "node", minutes=2, packages=160
    )


def dns() -> Program:
    """CoreDNS."""
    return Program("coredns", "CoreDNS", _HERE / "dns", ".", minutes=2, packages=420)


def ensure() -> None:
    """Builds whatever of a node was not built before."""
    build.ensure()
    node().ensure()
    dns().ensure()
