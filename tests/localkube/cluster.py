"""Starts a control plane, waits until it can be worked with, and is the handle to it.

Ready means: the API server answers /readyz, and the controllers have made the default
namespace's service account and its root certificate, which is what the first Pod or
operator that is created needs. Until then every step watches the processes, so a component
that dies is reported with the end of its log instead of as a timeout.
"""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.localkube import build, components, processes, state
from tests.localkube.api import Api
from tests.localkube.errors import LocalKubeError
from tests.localkube.state import State

_ATTEMPTS = 3
_LOG_LINES = 15
_POLL_SECONDS = 0.05
_MARKER = "localkube-audit-marker/"


class _PortTakenError(LocalKubeError):
    """Somebody took a port between its choice and its use."""


class LocalKube:
    """One running control plane."""

    def __init__(self, running: State) -> None:
        self._state = running
        self._api = Api(running.layout)

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
    def directory(self) -> Path:
        """Its folder: logs/, audit.log, kubeconfig, and data."""
        return self._state.layout.directory

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig that carries its certificates."""
        return self._state.layout.kubeconfig

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://{components.HOST}:{self._state.layout.api_port}"

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each component."""
        return {name: process.pid for name, process in self._state.processes.items()}

    def log(self, component: str) -> Path:
        """The log file of a component."""
        return self._state.layout.log(component)

    def environment(self) -> dict[str, str]:
        """This process's environment, changed so that kubectl and every client use this cluster only."""
        return {
            **os.environ,
            "PATH": f"{self._state.binary.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
            "KUBERC": "off",
        }

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl as administrator.

        Raises:
            LocalKubeError: it failed and `check` is on; the text has what kubectl wrote, or which component died.
        """
        command = [str(self._state.binary), "kubectl", *arguments]
        done = subprocess.run(command, input=input, env=self.environment(), capture_output=True, text=True, check=False)
        if check and done.returncode:
            self.check()
            raise LocalKubeError(f"kubectl {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done

    def request(self, method: str, path: str, body: Any = None, *, user_agent: str = "localkube") -> tuple[int, str]:
        """The status and text of one request as administrator; about a hundred times cheaper than kubectl."""
        try:
            return self._api.request(method, path, body, user_agent=user_agent)
        except OSError as error:
            self.check()
            raise LocalKubeError(f"{method} {self.server}{path} got no answer: {error}") from error

    def check(self) -> None:
        """Raises LocalKubeError when a component runs no more, with the end of its log."""
        for name in self._state.dead():
            raise LocalKubeError(f"{name} is not running any more. {_log_tail(self.log(name))}")

    def audit_position(self) -> int:
        """Where the audit log ends now, for `writes`."""
        self._flush_audit()
        return self._state.layout.audit_log.stat().st_size

    def writes(self, since: int = 0, *, user: str | None = None) -> list[dict[str, Any]]:
        """Audit entries (audit.k8s.io/v1 Event) of every write since a position, failed ones too.

        Events and leases are not in the log. Every write whose answer a client had before this call is in it.

        Args:
            since: what `audit_position` returned earlier; 0 is the start of the control plane.
            user: only writes of this user name, for example system:serviceaccount:makini-system:operator.
        """
        self._flush_audit()
        with self._state.layout.audit_log.open("rb") as log:
            log.seek(since)
            entries = [json.loads(line) for line in log if line.endswith(b"\n")]
        return [
            entry
            for entry in entries
            if not entry.get("userAgent", "").startswith(_MARKER) and user in {None, entry["user"].get("username")}
        ]

    def stop(self) -> list[str]:
        """Ends its processes, removes its folder, and names the components that were still running."""
        ended = state.remove(self._state)
        _collect()
        return ended

    def _flush_audit(self) -> None:
        # An entry is written after its answer is sent. One more write, and its entry in the log, bound the wait.
        marker = f"{_MARKER}{uuid.uuid4()}"
        log = self._state.layout.audit_log
        position = log.stat().st_size
        kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        self.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", kind, user_agent=marker)

        def is_logged() -> bool:
            with log.open("rb") as file:
                file.seek(position)
                return marker.encode() in file.read()

        self._wait(is_logged, time.monotonic() + 10, f"a marker in {log}")

    def _wait(self, condition: Callable[[], bool], deadline: float, what: str) -> None:
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise LocalKubeError(f"waited in vain for {what}. {_log_tail(self.log('kube-apiserver'))}")
            time.sleep(_POLL_SECONDS)

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
        answers = cluster._api.answers
        try:
            cluster._wait(lambda: answers("/readyz"), deadline, "the API server's /readyz")
            _run(starting, components.controller_manager(layout), stay=stay)
            default = "/api/v1/namespaces/default"
            for path in (f"{default}/serviceaccounts/default", f"{default}/configmaps/kube-root-ca.crt"):
                cluster._wait(partial(answers, path), deadline, f"the controllers to make {path}")
        except LocalKubeError as error:
            if any("address already in use" in _text(layout.log(name)) for name in starting.dead()):
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
        raise LocalKubeError(f"{name} ended at once. {_log_tail(starting.layout.log(name))}")
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


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _log_tail(path: Path) -> str:
    lines = _text(path).splitlines()[-_LOG_LINES:]
    return "\n  ".join([f"The end of its log {path}:", *lines]) if lines else f"Its log {path} is empty."
