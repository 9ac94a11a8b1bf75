"""Images into containerd; inside the node or, by way of its namespaces, from the host."""

import subprocess
from pathlib import Path

from tests.localkube.errors import LocalKubeError
from tests.localkube.processes import Process
from tests.localnode import requirements

_SOCKET = "/run/node/containerd.sock"
_NAMESPACE = "k8s.io"


def load(archive: Path, init: Process | None = None) -> list[str]:
    """Loads every image of an archive that `docker save` or `tests.images` wrote; returns their names.

    Args:
        archive: the file, as the host sees it.
        init: the node's first process; None when this runs in the node.
    """
    inside = [requirements.path_of("nsenter"), f"--target={init.pid}", "--mount", "--net"] if init else []
    command = [*inside, requirements.path_of("ctr"), f"--address={_SOCKET}", f"--namespace={_NAMESPACE}"]
    with archive.open("rb") as file:
        done = subprocess.run(
            [*command, "images", "import", "-"], stdin=file, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise LocalKubeError(f"{archive} could not be loaded: {done.stderr.strip()}")
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("unpacking ")]
