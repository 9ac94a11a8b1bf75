"""The one thing of a node that the kernel does not take back by itself: its cgroups."""

import time
from pathlib import Path

from tests.localkube.errors import LocalKubeError
from tests.localnode.layout import CGROUP_PREFIX

_ROOT = Path("/sys/fs/cgroup")
_POLL_SECONDS = 0.02


def create(name: str) -> None:
    """An empty cgroup of this name in every hierarchy of version 1."""
    for hierarchy in _ROOT.iterdir():
        if (hierarchy / "tasks").exists():
            (hierarchy / name).mkdir(exist_ok=True)
    cpuset = _ROOT / "cpuset"
    for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in a new one, and then it takes no process
        if (cpuset / setting).exists():
            (cpuset / name / setting).write_text((cpuset / setting).read_text(encoding="utf-8"), encoding="utf-8")


def numbers() -> set[int]:
    """The numbers of all nodes, running or not, that have a cgroup."""
    found = {path.name.removeprefix(CGROUP_PREFIX) for path in _ROOT.glob(f"*/{CGROUP_PREFIX}*")}
    return {int(number) for number in found if number.isdecimal()}


def remove(name: str, timeout_seconds: float = 20) -> None:
    """Removes the cgroup and all below it, as soon as the last process in them is gone.

    Raises:
        LocalKubeError: one still has a process at the deadline.
    """
    deadline = time.monotonic() + timeout_seconds
    while busy := [path for path in _ROOT.glob(f"*/{name}") if not _removed(path)]:
        if time.monotonic() > deadline:
            raise LocalKubeError(f"{busy[0]} still has processes {timeout_seconds:.0f} s after its node was ended.")
        time.sleep(_POLL_SECONDS)


def _removed(path: Path) -> bool:
    try:
        for below in [entry for entry in path.iterdir() if entry.is_dir()]:
            _removed(below)
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
