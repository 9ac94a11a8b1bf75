"""How many tests run side by side under `-n auto`, which `make test` uses.

A worker is mostly its control plane, its operator and its sandbox. TEST_WORKERS says another number.
"""

import os
from collections.abc import Mapping
from pathlib import Path

MEMORY = 2.5 * 2**30
"""Bytes that one worker's processes take at most, a node included."""
MOST = 8
"""The longest group of tests takes about an eighth of what all take together."""
WANTED = "TEST_WORKERS"


class NoNumber(ValueError):
    """TEST_WORKERS is not a number of workers."""


def workers(processors: int, memory: float) -> int:
    """One for each processor, as far as the memory (in bytes) goes; at least one."""
    return max(1, int(min(processors, memory // MEMORY, MOST)))


def number(environment: Mapping[str, str] = os.environ) -> int:
    """How many workers to start; 0 for a plain run without any, which is what one would be.

    Raises:
        NoNumber: TEST_WORKERS is set to something that is not a number of at least 1.
    """
    wanted = environment.get(WANTED, "")
    if wanted and not (wanted.isdecimal() and int(wanted) > 0):
        raise NoNumber(f"{WANTED} is to be a number of at least 1, and is {wanted!r}: correct it or leave it out.")
    found = int(wanted) if wanted else workers(_processors(), _available())
    return found if found > 1 else 0


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _available() -> float:
    """Bytes that can be had without swapping; without a limit where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("inf")
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), float("inf"))
