"""The one file that lets `down` in another shell end what `up` started.

Why: it is written again after every process that starts, so an interrupted start leaves
nothing that the next command does not know of. It is also what marks a folder as ours:
no folder without it is ever removed.
"""

import hashlib
import json
import shutil
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.localkube import build, ports, processes
from tests.localkube.components import Layout
from tests.localkube.errors import LocalKubeError
from tests.localkube.processes import Process

_FILE = "state.json"


@dataclass
class State:
    """One control plane on disk: its ports, its binary, and each process it consists of."""

    layout: Layout
    binary: Path
    processes: dict[str, Process] = field(default_factory=dict)

    def save(self) -> None:
        """Writes the file so that a reader sees the old or the new text, never half of one."""
        content = {
            "binary": str(self.binary),
            "ports": [self.layout.etcd_port, self.layout.etcd_peer_port, self.layout.api_port],
            "processes": {name: asdict(process) for name, process in self.processes.items()},
        }
        unfinished = self.layout.directory / f"{_FILE}.new"
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        unfinished.replace(self.layout.directory / _FILE)

    def dead(self) -> list[str]:
        """The components that were started and run no more."""
        return [name for name, process in self.processes.items() if not processes.is_running(process)]


def load(directory: Path) -> State | None:
    """The control plane of this folder, or None when the folder is none's."""
    try:
        content = json.loads((directory / _FILE).read_text(encoding="utf-8"))
        return State(
            layout=Layout(directory, *content["ports"]),
            binary=Path(content["binary"]),
            processes={name: Process(**process) for name, process in content["processes"].items()},
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LocalKubeError(
            f"{directory / _FILE} is not a state file ({error}). If it is left of a control plane, end its "
            f"processes (their command lines name {directory}) and remove the folder."
        ) from error


def create(directory: Path, binary: Path) -> State:
    """Claims an absent or empty folder for a new control plane, with free ports."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(directory.iterdir()):
        raise LocalKubeError(f"{directory} has files in it that are not a control plane's. Choose an empty folder.")
    directory.chmod(0o700)
    state = State(Layout(directory, *ports.free_ports(3)), binary)
    state.save()
    return state


def remove(state: State) -> list[str]:
    """Ends every process of the control plane that still runs, and removes its folder.

    Returns:
        The components that were still running. An id that another process has by now is left alone.
    """
    # The API server first: the controllers and etcd would only log that it is gone.
    ended = [name for name in reversed(state.processes) if processes.end(state.processes[name])]
    shutil.rmtree(state.layout.directory)
    return ended


def locked(directory: Path) -> AbstractContextManager[None]:
    """Keeps two commands from starting or stopping the same control plane at once."""
    key = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
    return build.locked(build.cache_home() / "locks" / key)
