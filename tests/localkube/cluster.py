"""Starts a control plane, waits until it can be worked with, and is the handle to it.

Ready means: the API server answers /readyz, and the controllers have made the default
namespace's service account and its root certificate, which is what the first Pod or
operator that is created needs. Until then every step watches the processes, so a component
that dies is reported with the end of its log instead of as a timeout.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from tests.localkube import build, components, processes, state
from tests.localkube.errors import LocalKubeError
from tests.localkube.handle import Handle, log_tail, text
from tests.localkube.state import State

_ATTEMPTS = 3


class _PortTakenError(LocalKubeError):
    """Somebody took a port between its choice and its use."""


class LocalKube(Handle):
    """One running control plane."""

    def __init__(self, running: State) -> None:
        super().__init__(running.layout, running.binary)
        self._state = running

    @classmethod
    @contextmanager
    def start(cls, directory: Path, *, timeout_seconds: float = 120) -> Iterator[Self]:
        """A control plane in this absent or empty folder, for as long as the block lasts.

        Afterwards no process and no folder of it is left; also not when this Python is killed (then the
        folder stays). When the start fails, the logs stay.
        """
        cluster = cls._up(directory.absolute(), build.ensure(), timeout_seconds, stay=False)
        try:
            yield cluster
        finally:
            cluster.stop()

    @classmethod
    def up(cls, directory: Path, *, timeout_seconds: float = 120) -> Self:
        """A control plane that outlives this Python, until `stop`."""
        return cls._up(directory.absolute(), build.ensure(), timeout_seconds, stay=True)

    @classmethod
    def attach(cls, directory: Path) -> Self | None:
        """The control plane in this folder, whole or broken; None when there is none."""
        found = state.load(directory.absolute())
        return cls(found) if found and found.layout.kubeconfig.exists() else None

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each component."""
        return {name: process.pid for name, process in self._state.processes.items()}

    def dead(self) -> list[str]:
        """The components that were started and run no more."""
        return self._state.dead()

    def stop(self) -> list[str]:
        """Ends its processes, removes its folder, and names the components that were still running."""
        ended = state.remove(self._state)
        _collect()
        return ended

    @classmethod
    def _up(cls, directory: Path, binary: Path, timeout_seconds: float, *, stay: bool) -> Self:
        for attempt in range(1, _ATTEMPTS + 1):
            starting = state.create(directory, binary)
            try:
                return cls._start(starting, time.monotonic() + timeout_seconds, stay=stay)
            except _PortTakenError:
                if attempt == _ATTEMPTS:
                    raise
                state.remove(starting)
            except BaseException:
                for process in starting.processes.values():
                    processes.end(process)
                _collect()
                raise
        raise AssertionError("the last attempt returns or raises")

    @classmethod
    def _start(cls, starting: State, deadline: float, *, stay: bool) -> Self:
        layout = starting.layout
        subprocess.run([starting.binary, "pki", layout.pki], check=True)
        components.write_files(layout)
        _run(starting, components.etcd(layout), stay=stay)
        _run(starting, components.apiserver(layout), stay=stay)
        cluster = cls(starting)
        answers = cluster.api.answers
        try:
            cluster.wait(lambda: answers("/readyz"), deadline, "the API server's /readyz")
            _run(starting, components.controller_manager(layout), stay=stay)
            default = "/api/v1/namespaces/default"
            for path in (f"{default}/serviceaccounts/default", f"{default}/configmaps/kube-root-ca.crt"):
                cluster.wait(partial(answers, path), deadline, f"the controllers to make {path}")
        except LocalKubeError as error:
            if any("address already in use" in text(layout.log(name)) for name in starting.dead()):
                raise _PortTakenError(str(error)) from error
            raise
        return cluster


def _run(starting: State, command: list[str], *, stay: bool) -> None:
    """Starts a component in a session of its own, so that Ctrl-C in this one does not reach it."""
    name = command[0]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ETCD_", "KUBE"))}
    if not stay:
        environment["LOCALKUBE_EXIT_WITH_STDIN"] = "1"
    with starting.layout.log(name).open("wb") as log:
        child = subprocess.Popen(
            [starting.binary, *command],
            stdin=subprocess.DEVNULL if stay else subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=starting.layout.directory,
            start_new_session=True,
        )
    _children.append(child)
    process = processes.identify(child.pid)
    if process is None:
        raise LocalKubeError(f"{name} ended at once. {log_tail(starting.layout.log(name))}")
    starting.processes[name] = process
    starting.save()


def _collect() -> None:
    """Takes the exit codes of the children that ended, so that none stays as a zombie."""
    for child in [child for child in _children if child.poll() is not None]:
        if child.stdin:
            child.stdin.close()
        _children.remove(child)


_children: list[subprocess.Popen[bytes]] = []
"""Keeps the pipes open that the components watch, for as long as this Python runs."""
