"""The command line: ``python3 -m tests.localnode build|up|down|status|load``."""

import argparse
import sys
from pathlib import Path

from tests import images
from tests.localkube import build, state
from tests.localkube.errors import LocalKubeError
from tests.localnode import programs, remains, requirements
from tests.localnode.mounts import CHECKOUT
from tests.localnode.node import LocalNode

_DEFAULT = CHECKOUT / "build" / "localnode"
_DOWN = 3


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; what a program may parse goes to standard output, progress to standard error."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.localnode", description="A local Kubernetes node.")
    parser.add_argument(
        "command",
        choices=["build", "up", "down", "status", "load", "check"],
        help="build: only the binaries; up: start and print KUBECONFIG=; down: leave nothing; status: 0 up, 3 not up; "
        "load: make the images of an archive available; check: 0 if this machine can run a node, else why not",
    )
    parser.add_argument("archive", nargs="?", type=Path, help="for load")
    parser.add_argument("--directory", type=Path, default=_DEFAULT, help="its state (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    directory = chosen.directory.absolute()
    try:
        match chosen.command:
            case "build":
                requirements.ensure()
                programs.ensure()
                images.basic()
                return 0
            case "check":
                requirements.ensure()
                return 0
            case "status":
                return _status(directory)
            case "load":
                return _load(directory, chosen.archive)
        if chosen.command == "up":
            requirements.ensure()  # before anything is written
        with state.locked(directory):
            return _up(directory) if chosen.command == "up" else _down(directory)
    except LocalKubeError as error:
        sys.stderr.write(f"localnode: {error}\n")
        return 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _up(directory: Path) -> int:
    found = LocalNode.attach(directory)
    if found and not found.dead():
        build.report_to_stderr("the node is already up")
        _say(f"KUBECONFIG={found.kubeconfig}")
        return 0
    if found:
        build.report_to_stderr(f"cleaning up what is left of an earlier node ({', '.join(found.dead())} not running)")
        found.stop()
    node = LocalNode.up(directory)
    build.report_to_stderr(f"the node {node.name} is ready; pods reach this machine at {node.host_address}")
    build.report_to_stderr(f"kubectl is in {node.binary.parent}")
    _say(f"KUBECONFIG={node.kubeconfig}")
    return 0


def _down(directory: Path) -> int:
    found = LocalNode.attach(directory)
    if requirements.obstacle() is None:
        remains.sweep()
    if found is None:
        build.report_to_stderr("no node is up")
        return 0
    was_running = found.stop()
    if directory == _DEFAULT and not any(directory.parent.iterdir()):
        directory.parent.rmdir()
    build.report_to_stderr("stopped the node" if was_running else "removed a stale state; nothing was running")
    return 0


def _status(directory: Path) -> int:
    found = LocalNode.attach(directory)
    if found is None:
        _say("down")
        return _DOWN
    if gone := found.dead():
        _say(f"broken: {', '.join(gone)} not running; logs in {directory / 'logs'}")
        return _DOWN
    _say(f"up: {found.name} at {found.server}; pods reach this machine at {found.host_address}")
    _say(f"KUBECONFIG={found.kubeconfig}")
    return 0


def _load(directory: Path, archive: Path | None) -> int:
    found = LocalNode.attach(directory)
    if found is None or archive is None:
        raise LocalKubeError("expected a running node and the path of an archive: `up` first, then `load ARCHIVE`.")
    for name in found.load_image(archive):
        _say(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
