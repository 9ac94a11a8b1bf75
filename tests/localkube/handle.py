"""What a test does with a running control plane, whoever started it: kubectl, requests, and the audit log."""

import json
import os
import subprocess
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.localkube.api import Api
from tests.localkube.components import Layout
from tests.localkube.errors import LocalKubeError

_LOG_LINES = 15
_POLL_SECONDS = 0.05
_MARKER = "localkube-audit-marker/"


class Handle(ABC):
    """A control plane that runs now. Whoever starts one says which of its components are dead."""

    def __init__(self, layout: Layout, binary: Path) -> None:
        self.layout = layout
        self.binary = binary
        self.api = Api(layout)

    @abstractmethod
    def dead(self) -> list[str]:
        """The components that were started and run no more."""

    @property
    def directory(self) -> Path:
        """Its folder: logs/, audit.log, kubeconfig, and data."""
        return self.layout.directory

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig that carries its certificates."""
        return self.layout.kubeconfig

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://{self.layout.host}:{self.layout.api_port}"

    def log(self, component: str) -> Path:
        """The log file of a component."""
        return self.layout.log(component)

    def environment(self) -> dict[str, str]:
        """This process's environment, changed so that kubectl and every client use this cluster only."""
        return {
            **os.environ,
            "PATH": f"{self.binary.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
            "KUBERC": "off",
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), self.layout.host])),
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
        command = [str(self.binary), "kubectl", *arguments]
        environment = self.environment() | {"GOGC": "off"}  # it ends before collecting garbage pays
        done = subprocess.run(command, input=input, env=environment, capture_output=True, text=True, check=False)
        if check and done.returncode:
            self.check()
            raise LocalKubeError(f"kubectl {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user_agent: str = "localkube",
        content_type: str = "application/json",
    ) -> tuple[int, str]:
        """The status and text of one request as administrator; about a hundred times cheaper than kubectl."""
        try:
            return self.api.request(method, path, body, user_agent=user_agent, content_type=content_type)
        except OSError as error:
            self.check()
            raise LocalKubeError(f"{method} {self.server}{path} got no answer: {error}") from error

    def check(self) -> None:
        """Raises LocalKubeError when a component runs no more, with the end of its log."""
        for name in self.dead():
            raise LocalKubeError(f"{name} is not running any more. {log_tail(self.log(name))}")

    def audit_position(self) -> int:
        """Where the audit log ends now, for `writes`."""
        self._flush_audit()
        return self.layout.audit_log.stat().st_size

    def writes(self, since: int = 0, *, user: str | None = None) -> list[dict[str, Any]]:
        """Audit entries (audit.k8s.io/v1 Event) of every write since a position, failed ones too.

        Events and leases are not in the log. Every write whose answer a client had before this call is in it.

        Args:
            since: what `audit_position` returned earlier; 0 is the start of the control plane.
            user: only writes of this user name, for example system:serviceaccount:makini-system:operator.
        """
        self._flush_audit()
        with self.layout.audit_log.open("rb") as log:
            log.seek(since)
            entries = [json.loads(line) for line in log if line.endswith(b"\n")]
        return [
            entry
            for entry in entries
            if not entry.get("userAgent", "").startswith(_MARKER) and user in {None, entry["user"].get("username")}
        ]

    def _flush_audit(self) -> None:
        # An entry is written after its answer is sent. One more write, and its entry in the log, bound the wait.
        marker = f"{_MARKER}{uuid.uuid4()}"
        log = self.layout.audit_log
        position = log.stat().st_size
        kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        self.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", kind, user_agent=marker)

        def is_logged() -> bool:
            with log.open("rb") as file:
                file.seek(position)
                return marker.encode() in file.read()

        self.wait(is_logged, time.monotonic() + 10, f"a marker in {log}")

    def wait(self, condition: Callable[[], bool], deadline: float, what: str, *, log: str = "kube-apiserver") -> None:
        """Waits until a condition holds; a component that dies meanwhile is reported instead of a timeout.

        Args:
            condition: asked again and again.
            deadline: of time.monotonic().
            what: is waited for, for the message.
            log: of which component the message shows the end.
        """
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise LocalKubeError(f"waited in vain for {what}. {log_tail(self.log(log))}")
            time.sleep(_POLL_SECONDS)


def text(path: Path) -> str:
    """What a log says; nothing when it is not there yet."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def log_tail(path: Path) -> str:
    """The last lines of a log, for a message."""
    lines = text(path).splitlines()[-_LOG_LINES:]
    return "\n  ".join([f"The end of its log {path}:", *lines]) if lines else f"Its log {path} is empty."
