"""Ports for servers that are started a moment later, and may be stopped and started again meanwhile.

Why not port 0: what the kernel gives out then it gives to the next process too, as soon as nobody listens there, and
tests run side by side. So each process takes a block of its own, below what the kernel gives out by itself, and
nobody else who asks here gets a port of it for as long as that process lives.
"""

import itertools
import secrets
import socket
import sys
from functools import cache

from tests.localkube.components import HOST
from tests.localkube.errors import LocalKubeError

_FIRST, _SIZE, _BLOCKS = 20000, 120, 100


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now, all different.

    A program that does not ask here may take one before it is used: whoever cannot bear that tries again.

    Raises:
        LocalKubeError: no ports are left.
    """
    found: list[int] = []
    numbers = _numbers()
    for port in itertools.islice(numbers, _SIZE):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise LocalKubeError(f"{count} ports are wanted, and of the {_SIZE} of this process {len(found)} are free.")


def free_port() -> int:
    """One of `free_ports`."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@cache
def _numbers() -> "itertools.cycle[int]":
    """The ports of this process, again and again: the longest unused comes next."""
    start = secrets.randbelow(_BLOCKS)
    for offset in range(_BLOCKS):
        block = (start + offset) % _BLOCKS
        if _claimed(block):
            return itertools.cycle(range(_FIRST + block * _SIZE, _FIRST + (block + 1) * _SIZE))
    raise LocalKubeError(f"{_BLOCKS} processes hold ports for tests: end some.")


def _claimed(block: int) -> bool:
    """Whether nobody has this block; it is held then for as long as this process lives."""
    if sys.platform != "linux":  # no abstract addresses: another process may choose the same, and seldom does
        return True
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(f"\0makini-ports-{block}")
    except OSError:
        held.close()
        return False
    _held.append(held)
    return True


_held: list[socket.socket] = []
