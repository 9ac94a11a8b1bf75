"""Everything that one node is called on this machine, derived from one small number.

Why a number: several nodes must be able to live beside each other, and whoever cleans up
after a crash must recognise what belongs together. The interface, the cgroup and the
addresses all carry the number; who holds it is decided by the kernel (`tests.localnode.network`).

The addresses are from 198.18.0.0/15, which is reserved for tests and routed nowhere.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from tests.localkube.components import Layout
from tests.localkube.errors import LocalKubeError
from tests.localkube.processes import Process

NUMBERS = range(256)
SERVICES = "10.96.0.0/16"
"""Cluster addresses; only inside the node's network, so all nodes may have the same."""

CGROUP_PREFIX = "makini-node-"
STAY = "stay"
"""Tells the supervisor that it has no owner."""

SEPARATED = "separated"
"""What the node's first process tells the supervisor once it has namespaces of its own."""

_VOLUMES = 32
"""How many claims a node can serve before it ends: a volume that was used is not given to another claim."""

_FILE = "node.json"
_ENDED = "ended.json"


@dataclass(frozen=True)
class Node:
    """One node on disk: where it is, its number, and the two processes that everything else depends on."""

    directory: Path
    number: int
    supervisor: Process | None = None
    init: Process | None = None

    @property
    def name(self) -> str:
        """The Node object's name, and the cgroup's."""
        return f"{CGROUP_PREFIX}{self.number}"

    @property
    def link(self) -> str:
        """The host's end of the cable to the node."""
        return f"makini{self.number}"

    @property
    def host_address(self) -> str:
        """The host, as pods see it."""
        return f"198.18.{self.number}.1"

    @property
    def address(self) -> str:
        """The node, as the host and pods see it."""
        return f"198.18.{self.number}.2"

    @property
    def link_network(self) -> str:
        return f"198.18.{self.number}.0/30"

    @property
    def pod_network(self) -> str:
        return f"198.19.{self.number}.0/24"

    @property
    def control_plane(self) -> Layout:
        """The control plane lives in the node's network, so its ports may be fixed."""
        return Layout(self.directory, 2379, 2380, 6443, host=self.address)

    @property
    def volumes(self) -> dict[str, Path]:
        """The folder of each PersistentVolume, by the volume's name."""
        return {f"local-{number:02}": self.directory / "volumes" / f"{number:02}" for number in range(1, _VOLUMES + 1)}

    def log(self, component: str) -> Path:
        return self.control_plane.log(component)

    def save(self, *, supervisor: Process | None = None, init: Process | None = None) -> Self:
        """The node with what is known now, on disk too; a reader sees the old or the new text, never half of one."""
        changed = replace(self, supervisor=supervisor or self.supervisor, init=init or self.init)
        self._write(_FILE, asdict(changed) | {"directory": str(self.directory)})
        return changed

    def ended(self) -> dict[str, str]:
        """The components that were started and run no more, each with how it ended."""
        try:
            found: dict[str, str] = json.loads((self.directory / _ENDED).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def record_ended(self, components: dict[str, str]) -> None:
        """Makes `ended` return this."""
        self._write(_ENDED, components)

    def _write(self, name: str, content: object) -> None:
        unfinished = self.directory / f"{name}.new"
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        unfinished.replace(self.directory / name)


def load(directory: Path) -> Node | None:
    """The node of this folder, or None when the folder is no node's."""
    try:
        content = json.loads((directory / _FILE).read_text(encoding="utf-8"))
        made = {key: Process(**content[key]) for key in ("supervisor", "init") if content[key]}
        return Node(directory, content["number"], **made)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LocalKubeError(
            f"{directory / _FILE} is not a node's file ({error}). If no process names {directory}, remove the folder."
        ) from error
