"""What the system says of a process and of the machine: CPU, memory, load."""

import os
import time
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    """The most memory that a process had resident."""
    return _status_kib(pid, "VmHWM") / 1024


def resident_mib(pid: int) -> float:
    return _status_kib(pid, "VmRSS") / 1024


def machine() -> dict[str, Any]:
    """Its size; never its name."""
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memoryGiB": round(int(total.split()[1]) / 2**20, 1),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


class CpuSpan:
    """The CPU time that a process takes from now on, and the time that passes."""

    def __init__(self, pid: int) -> None:
        self._pid, self._cpu, self._at = pid, cpu_seconds(pid), time.monotonic()

    def cpu(self) -> float:
        return cpu_seconds(self._pid) - self._cpu

    def wall(self) -> float:
        return time.monotonic() - self._at


def _status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
