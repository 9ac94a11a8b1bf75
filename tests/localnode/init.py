"""The first process of a node: when it ends, however it ends, the kernel ends the whole node.

It is the first of a process namespace, so its end takes every other process of the node
along, pods included, and with the last process go the mounts and the network. Its own end
is tied to the supervisor's by a pipe that the kernel closes. So nothing has to be tidied
up in an order, and nothing can be forgotten by a program that was killed.

It starts the components, collects the exit codes of everything that is orphaned in the
node, and writes down which component has ended. It restarts none: a test that kills one
wants to see what happens.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests import images
from tests.localkube import build
from tests.localkube.api import Api
from tests.localnode import components, layout, mounts, network, objects, programs, requirements, runtime
from tests.localnode.layout import Node

_POLL_SECONDS = 0.02
_WAIT_SECONDS = 60


def main() -> None:
    """Becomes the node of the folder in the first argument; returns never."""
    node = layout.load(Path(sys.argv[1]))
    if node is None:
        sys.exit(f"{sys.argv[1]} is no node's folder")
    sys.stdout.write(f"{layout.SEPARATED}\n")
    sys.stdout.flush()
    sys.stdin.buffer.readline()  # the supervisor has laid the cable
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    mounts.prepare(node)
    network.configure_inside(node)
    _collect(node, _start(node))


def _end_with_supervisor() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _start(node: Node) -> dict[int, str]:
    """Starts everything; returns the component of each process id."""
    binaries = (build.binary_path(), programs.node().path, programs.dns().path)
    commands = components.commands(node, *binaries)
    running = {_run(node, name, commands[name]): name for name in components.FIRST}
    _wait(components.SOCKET.exists, "containerd's socket")
    runtime.load(images.basic())
    api = Api(node.control_plane)
    _wait(lambda: api.answers("/readyz"), "the API server's /readyz")
    for path, manifest in objects.initial(node):
        status, answer = api.request("POST", path, manifest)
        if status not in {201, 409}:
            sys.exit(f"{path}: {status} {answer}")
    return running | {_run(node, name, line): name for name, line in commands.items() if name not in components.FIRST}


def _run(node: Node, name: str, command: list[str]) -> int:
    # Nothing of the caller's environment: a proxy or another cluster's settings would lead it astray.
    environment = {"PATH": f"{Path(requirements.path_of('containerd')).parent}:{os.defpath}:/usr/sbin:/sbin"}
    with node.log(name).open("wb") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=node.directory
        )
    _children.append(child)
    return child.pid


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        for child in _children:
            if child.poll() is not None:
                sys.exit(f"{child.args!r} ended with {child.returncode} while waiting for {what}")
        if time.monotonic() > deadline:
            sys.exit(f"waited {_WAIT_SECONDS} s in vain for {what}")
        time.sleep(_POLL_SECONDS)


def _collect(node: Node, running: dict[int, str]) -> None:
    gone: dict[str, str] = {}
    while True:
        pid, status = os.wait()
        if pid in running:
            code = os.waitstatus_to_exitcode(status)
            gone[running[pid]] = f"ended with {code}" if code >= 0 else f"killed by signal {-code}"
            node.record_ended(gone)


_children: list[subprocess.Popen[bytes]] = []
"""Kept, or Python would collect their exit codes itself."""


if __name__ == "__main__":
    main()
