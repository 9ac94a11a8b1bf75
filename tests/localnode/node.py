"""Starts a node, waits until pods can run on it, and is the handle to it.

Ready means: the Node object is Ready, names resolve, and the default namespace has its
service account and root certificate, so the next pod that is created runs at once.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from tests import images
from tests.localkube import build, processes
from tests.localkube.errors import LocalKubeError
from tests.localkube.handle import Handle, log_tail
from tests.localkube.waiting import wait_until
from tests.localnode import components, layout, mounts, programs, remains, requirements, runtime
from tests.localnode.layout import Node

_FIRST_COMPONENTS = ("supervisor", "init")


class LocalNode(Handle):
    """One running node with its control plane."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.control_plane, build.binary_path())
        self.node = node

    @classmethod
    @contextmanager
    def start(cls, directory: Path, *, timeout_seconds: float = 120) -> Iterator[Self]:
        """A node in this absent or empty folder, for as long as the block lasts.

        Afterwards no process, mount, interface, cgroup or folder of it is left; also not when this Python is
        killed. When the start fails, the logs stay.

        Raises:
            CannotRunError: this machine cannot run one; one line, with what to do instead.
        """
        node = cls._up(directory.absolute(), timeout_seconds, stay=False)
        try:
            yield node
        finally:
            node.stop()

    @classmethod
    def up(cls, directory: Path, *, timeout_seconds: float = 120) -> Self:
        """A node that outlives this Python, until `stop`."""
        return cls._up(directory.absolute(), timeout_seconds, stay=True)

    @classmethod
    def attach(cls, directory: Path) -> Self | None:
        """The node in this folder, whole or broken; None when there is none."""
        found = layout.load(directory.absolute())
        return cls(found) if found else None

    @property
    def host_address(self) -> str:
        """The address at which pods reach servers of the host that listen there or on 0.0.0.0."""
        return self.node.host_address

    @property
    def name(self) -> str:
        """The Node object's name."""
        return self.node.name

    def load_image(self, archive: Path) -> list[str]:
        """Makes the images of an archive available to pods (imagePullPolicy IfNotPresent or Never); their names."""
        if self.node.init is None:
            raise LocalKubeError(f"the node in {self.directory} has not started.")
        return runtime.load(archive, self.node.init)

    def dead(self) -> list[str]:
        """The components that were started and run no more."""
        watched = {"supervisor": self.node.supervisor, "init": self.node.init}
        return [
            *(name for name, process in watched.items() if process is None or not processes.is_running(process)),
            *self.node.ended(),
        ]

    def processes(self) -> dict[int, str]:
        """Every process of the node, pods included: its id on the host, and the name of its program."""
        if self.node.init is None:
            return {}
        try:
            own = Path(f"/proc/{self.node.init.pid}/ns/mnt").readlink()
        except FileNotFoundError:
            return {}
        return _members(own, f"/{self.node.name}/")

    def stop(self) -> list[str]:
        """Ends everything, removes its folder, and names the components that were still running."""
        alive = [name for name in _FIRST_COMPONENTS if name not in self.dead()]
        if self.node.supervisor and processes.is_running(self.node.supervisor):
            os.kill(self.node.supervisor.pid, signal.SIGTERM)
            _wait_for_end(self.node)
        if self.directory.exists():
            remains.clear(self.node)
        _collect()
        return alive

    @classmethod
    def _up(cls, directory: Path, timeout_seconds: float, *, stay: bool) -> Self:
        requirements.ensure()
        programs.ensure()
        images.basic()
        deadline = time.monotonic() + timeout_seconds
        started = _spawn(directory, stay=stay)
        try:
            node = cls._starting(started, directory, deadline)
            node._wait_until_ready(deadline)
        except BaseException:
            started.kill()
            started.wait()
            if found := layout.load(directory):
                remains.clear(found, keep_folder=True)
            _collect()
            raise
        return node

    @classmethod
    def _starting(cls, started: "subprocess.Popen[bytes]", directory: Path, deadline: float) -> Self:
        """The handle as soon as the first process of the node is known."""
        log = directory / "logs" / "supervisor.log"

        def known() -> Node | None:
            found = layout.load(directory)
            return found if found and found.init else None

        while not (found := known()):
            if started.poll() is not None or time.monotonic() > deadline:
                raise LocalKubeError(f"the node's supervisor did not start it. {log_tail(log)}")
            time.sleep(0.02)
        return cls(found)

    def _wait_until_ready(self, deadline: float) -> None:
        default = "/api/v1/namespaces/default"
        self.wait(partial(self.api.answers, "/readyz"), deadline, "the API server's /readyz")
        for path in (f"{default}/serviceaccounts/default", f"{default}/configmaps/kube-root-ca.crt"):
            self.wait(partial(self.api.answers, path), deadline, f"the controllers to make {path}")
        self.wait(self._is_ready, deadline, "the node to be Ready", log="kubelet")
        self.wait(self._resolves_names, deadline, "CoreDNS to be ready", log="coredns")

    def _is_ready(self) -> bool:
        status, answer = self.request("GET", f"/api/v1/nodes/{self.name}")
        conditions = json.loads(answer)["status"].get("conditions", []) if status == 200 else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _resolves_names(self) -> bool:
        address = f"http://{self.node.address}:{components.DNS_READY_PORT}/ready"
        try:
            with _direct.open(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _spawn(directory: Path, *, stay: bool) -> "subprocess.Popen[bytes]":
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(directory.iterdir()):
        raise LocalKubeError(f"{directory} has files in it that are not a node's. Choose an empty folder.")
    directory.chmod(0o700)
    (directory / "logs").mkdir()
    with (directory / "logs" / "supervisor.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.localnode.supervisor", str(directory), *([layout.STAY] if stay else [])],
            stdin=subprocess.DEVNULL if stay else subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=mounts.CHECKOUT,
            start_new_session=True,
        )
    _children.append(child)
    return child


def _wait_for_end(node: Node) -> None:
    supervisor_process = node.supervisor
    if supervisor_process is None:
        return
    try:
        wait_until(lambda: not processes.is_running(supervisor_process), 30, "the supervisor to clean up")
    except AssertionError:
        processes.end(supervisor_process)


def _members(mount_namespace: Path, cgroup: str) -> dict[int, str]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_member = (folder / "ns" / "mnt").readlink() == mount_namespace
            if is_member or cgroup in (folder / "cgroup").read_text(encoding="ascii"):
                found[int(folder.name)] = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # it ended meanwhile, or is one of those that even root may not look at: none of ours
            continue
    return found


def _collect() -> None:
    """Takes the exit codes of the supervisors that ended, so that none stays as a zombie."""
    for child in [child for child in _children if child.poll() is not None]:
        if child.stdin:
            child.stdin.close()
        _children.remove(child)


_children: "list[subprocess.Popen[bytes]]" = []
"""Keeps the pipes open that the supervisors watch, for as long as this Python runs."""
