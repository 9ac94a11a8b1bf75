"""The command line: ``python3 -m tests.localkube build|up|down|status``."""

import argparse
import sys
from pathlib import Path

from tests.localkube import build, state
from tests.localkube.cluster import LocalKube
from tests.localkube.errors import LocalKubeError

_DEFAULT = Path(__file__).parents[2] / "build" / "localkube"
_DOWN = 3


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; what a program may parse goes to standard output, progress to standard error."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.localkube", description="A local control plane.")
    parser.add_argument(
        "command",
        choices=["build", "up", "down", "status"],
        help="build: only the binary; up: start and print KUBECONFIG=; down: leave nothing; status: 0 up, 3 not up",
    )
    parser.add_argument("--directory", type=Path, default=_DEFAULT, help="its state (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    directory = chosen.directory.absolute()
    try:
        if chosen.command == "build":
            _say(str(build.ensure()))
            return 0
        if chosen.command == "status":
            return _status(directory)
        with state.locked(directory):
            return _up(directory) if chosen.command == "up" else _down(directory)
    except LocalKubeError as error:
        sys.stderr.write(f"localkube: {error}\n")
        return 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _up(directory: Path) -> int:
    found = state.load(directory)
    if found and not _broken(found):
        build.report_to_stderr("already up")
        _say(f"KUBECONFIG={found.layout.kubeconfig}")
        return 0
    if found:
        build.report_to_stderr(f"cleaning up what is left of an earlier control plane ({_broken(found)})")
        state.remove(found)
    cluster = LocalKube.up(directory)
    build.report_to_stderr(f"Kubernetes {build.KUBERNETES} is ready at {cluster.server}")
    build.report_to_stderr(f"kubectl is in {build.binary_path().parent}")
    _say(f"KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(directory: Path) -> int:
    found = state.load(directory)
    if found is None:
        build.report_to_stderr("nothing is up")
        return 0
    ended = state.remove(found)
    if directory == _DEFAULT and not any(directory.parent.iterdir()):
        directory.parent.rmdir()
    build.report_to_stderr(f"stopped {', '.join(ended)}" if ended else "removed a stale state; nothing was running")
    return 0


def _status(directory: Path) -> int:
    found = state.load(directory)
    if found is None:
        _say("down")
        return _DOWN
    problem = _broken(found)
    _say(f"broken: {problem}; logs in {directory / 'logs'}" if problem else f"up at port {found.layout.api_port}")
    if not problem:
        _say(f"KUBECONFIG={found.layout.kubeconfig}")
    return _DOWN if problem else 0


def _broken(found: state.State) -> str:
    """What is wrong with a control plane, or nothing."""
    missing = [name for name in ("etcd", "kube-apiserver", "kube-controller-manager") if name not in found.processes]
    gone = [*found.dead(), *missing]
    return f"{', '.join(gone)} not running" if gone else ""


if __name__ == "__main__":
    sys.exit(main())
