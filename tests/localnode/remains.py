"""Ends a node and removes what is left of it, whatever state a crash left it in."""

import shutil

from tests.localkube import processes
from tests.localnode import cgroups, network
from tests.localnode.layout import CGROUP_PREFIX, Node


def clear(node: Node, *, keep_folder: bool = False) -> bool:
    """Ends everything of the node; returns whether anything ran. Safe to repeat, and to call for one that never ran."""
    ran = bool(node.init and processes.end(node.init))
    network.disconnect(node)
    cgroups.remove(node.name)
    if not keep_folder:
        shutil.rmtree(node.directory, ignore_errors=False)
    return ran


def sweep() -> None:
    """Removes the cgroups of nodes that nobody holds any more: their supervisor was killed and nobody came back."""
    for number in cgroups.numbers():
        if held := network.claim(number):
            with held:
                cgroups.remove(f"{CGROUP_PREFIX}{number}")
