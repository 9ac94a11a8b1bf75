"""The host's half of a node: makes its namespaces, and takes away what the kernel leaves.

It ends when its owner's pipe closes, at SIGTERM, or when the node ends by itself. In the
first two cases nothing is left at all; in the last one the folder stays, with the logs.
Were it killed itself, the node would end with it, and its cgroups would be removed by
whoever stops the node or starts the next one (`tests.localnode.remains`).
"""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from tests.localkube import build, processes
from tests.localkube.errors import LocalKubeError
from tests.localnode import cgroups, components, network, remains, requirements
from tests.localnode.layout import NUMBERS, SEPARATED, STAY, Node


def main() -> int:
    """Runs the node of the folder in the first argument until it is to end.

    A second argument says that it stays when its standard input closes.
    """
    directory, stays = Path(sys.argv[1]), sys.argv[2:] == [STAY]
    remains.sweep()
    number, held = network.claim_free(first=os.getpid() % len(NUMBERS))
    node = Node(directory, number).save(supervisor=processes.identify(os.getpid()))
    wanted = False
    with held:
        remains.clear(node, keep_folder=True)
        try:
            subprocess.run([build.binary_path(), "pki", node.control_plane.pki, node.name, node.address], check=True)
            components.write_files(node)
            cgroups.create(node.name)
            wanted = _run(node, stays=stays)
        finally:
            remains.clear(node, keep_folder=not wanted)
    return 0 if wanted else 1


def _run(node: Node, *, stays: bool) -> bool:
    """Starts the node and waits; returns whether its end was wanted."""
    wake, woken = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(woken, b"x"))
    wanted = [wake] if stays else [wake, sys.stdin.fileno()]
    command = [requirements.path_of("unshare"), "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
    command += ["--mount-proc", sys.executable, "-m", "tests.localnode.init", str(node.directory)]
    with (
        node.log("init").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as outer,
    ):
        if outer.stdin is None or outer.stdout is None:
            raise LocalKubeError("the first process has no pipes")
        if outer.stdout.readline().decode().strip() != SEPARATED:
            return False
        first = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text(encoding="ascii").split()[0])
        node.save(init=processes.identify(first))
        network.connect(node, outer.pid)
        outer.stdin.write(b"connected\n")
        outer.stdin.flush()
        ready, _, _ = select.select([*wanted, outer.stdout], [], [])
        return ready != [outer.stdout]


if __name__ == "__main__":
    sys.exit(main())
