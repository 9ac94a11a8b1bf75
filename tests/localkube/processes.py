"""Ends the processes that were started here, and never another one.

Why: process ids are used again. A control plane may be stopped hours later, by another
shell, after a crash or a reboot, when its recorded id belongs to somebody's editor. So a
process is known by its id *and* its start time, and only one that matches both is ended.
On Linux a pidfd pins the process between the check and the signal.
"""

import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.localkube.errors import LocalKubeError

_PROC = Path("/proc")
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """One process over all time: its id, and when it started in the kernel's own words."""

    pid: int
    started: str


def identify(pid: int) -> Process | None:
    """The process that has this id now, or None when there is none (a zombie is none)."""
    if (_PROC / "self" / "stat").exists():
        return _identify_by_proc(pid)
    answer = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return Process(pid, answer[1].strip()) if answer and not answer[0].startswith("Z") else None


def is_running(process: Process) -> bool:
    """Whether exactly this process still runs."""
    return identify(process.pid) == process


def end(process: Process, timeout_seconds: float = 10) -> bool:
    """Kills this process and waits until it is gone; False when it was gone before.

    The data of a control plane is thrown away with it, so nothing is lost by not asking first.
    """
    if not hasattr(os, "pidfd_open"):
        return _end_without_pidfd(process, timeout_seconds)
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_running(process):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not select.select([handle], [], [], timeout_seconds)[0]:
            raise _survived(process, timeout_seconds)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def _end_without_pidfd(process: Process, timeout_seconds: float) -> bool:
    if not is_running(process):
        return False
    os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + timeout_seconds
    while is_running(process):
        if time.monotonic() > deadline:
            raise _survived(process, timeout_seconds)
        time.sleep(_POLL_SECONDS)
    return True


def _survived(process: Process, timeout_seconds: float) -> LocalKubeError:
    return LocalKubeError(
        f"process {process.pid} still runs {timeout_seconds:.0f} s after SIGKILL: it hangs in the kernel "
        "(a stuck disk, most likely). Look at `ps -o state,wchan -p`, then stop again."
    )


def _identify_by_proc(pid: int) -> Process | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in parentheses and may contain anything, also spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in {"Z", "X"} else Process(pid, started)
