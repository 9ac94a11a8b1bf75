"""A cluster that somebody else started, with as much of a `LocalNode` as tests of pods need."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.localkube import LocalKubeError

EXISTING = "MAKINI_NODE_KUBECONFIG"
HOST_ADDRESS = "MAKINI_NODE_HOST_ADDRESS"


class ExistingCluster:
    """The cluster of a kubeconfig; the images of `tests.images` are in it already."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    @property
    def host_address(self) -> str:
        """The address at which pods reach this machine; known only to whoever started the cluster."""
        if address := os.environ.get(HOST_ADDRESS):
            return address
        pytest.skip(f"{HOST_ADDRESS} is not set: the address at which pods of the cluster reach this machine")

    def load_image(self, archive: Path) -> list[str]:
        raise LocalKubeError(f"load {archive} with the means of the cluster: its nodes are not ours.")

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(
            ["kubectl", *arguments], input=input, env=environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise LocalKubeError(f"kubectl {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done
