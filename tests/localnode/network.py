"""The cable between the host and a node, and who may have which number.

Why nothing here must be undone with care: the node's end is in a network namespace that
has no name, so the kernel removes it with the node's last process, and with it the cable,
the host's end and the host's route to the pods.
"""

import ipaddress
import json
import socket
import subprocess

from tests.localkube.errors import LocalKubeError
from tests.localnode import requirements
from tests.localnode.layout import NUMBERS, SERVICES, Node


def claim(number: int) -> socket.socket | None:
    """Holds a number for as long as the socket lives; None when another process of this machine holds it.

    An abstract address is bound by one process at a time, needs no file, and is free when its holder ends.
    """
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(f"\0makini-node-{number}")
    except OSError:
        held.close()
        return None
    return held


def claim_free(first: int) -> tuple[int, socket.socket]:
    """A number that no node has and whose addresses this machine has no route to; tried from `first` upwards."""
    routes = _routes()
    for offset in NUMBERS:
        number = (first + offset) % len(NUMBERS)
        held = claim(number)
        if held is None:
            continue
        if not any(route.overlaps(wanted) for route in routes for wanted in _networks(number)):
            return number, held
        held.close()
    raise LocalKubeError(
        f"no addresses free for a node: {len(NUMBERS)} nodes run, or this machine has a route to 198.18.0.0/15 "
        "(`ip route`; some VPNs do). Stop nodes with `make node-down`, or the VPN."
    )


def connect(node: Node, pid: int) -> None:
    """Lays the cable from the host to the network namespace of the process `pid`."""
    _ip("link", "add", node.link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _ip("address", "add", f"{node.host_address}/30", "dev", node.link)
    _ip("link", "set", node.link, "up")
    _ip("route", "add", node.pod_network, "via", node.address, "dev", node.link)


def configure_inside(node: Node) -> None:
    """Gives the node's end its address; runs inside the namespace. Nothing leads further than to the host."""
    _ip("link", "set", "lo", "up")
    _ip("address", "add", f"{node.address}/30", "dev", "eth0")
    _ip("link", "set", "eth0", "up")
    # Connections to a service's address are redirected on their way out, so there must be a way out.
    _ip("route", "add", SERVICES, "dev", "eth0", "src", node.address)


def disconnect(node: Node) -> None:
    """Removes the cable now instead of when the kernel gets to it."""
    subprocess.run([requirements.path_of("ip"), "link", "delete", node.link], capture_output=True, check=False)


def _networks(number: int) -> list[ipaddress.IPv4Network]:
    return [ipaddress.IPv4Network(f"198.18.{number}.0/30"), ipaddress.IPv4Network(f"198.19.{number}.0/24")]


def _routes() -> list[ipaddress.IPv4Network]:
    answer = json.loads(_ip("-json", "-4", "route", "show", "table", "all") or "[]")
    found = {route["dst"] for route in answer if route["dst"] != "default"}
    return [ipaddress.IPv4Network(destination) for destination in found]


def _ip(*arguments: str) -> str:
    done = subprocess.run([requirements.path_of("ip"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalKubeError(f"ip {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout
