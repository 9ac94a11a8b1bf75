"""What the demo plays on: a shell to type commands into, and a control plane with sandbox and operator behind it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.demo.screen import Screen
from tests.harness import OPERATOR_NAMESPACE, Rig, Sandbox
from tests.localkube import LocalKube

ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 100
NAMESPACE = "integrations"


class Unexpected(Exception):
    """Something is not as the demo says."""

    def __init__(self, what: str, *, expected: object, seen: object) -> None:
        super().__init__(what)
        self.what, self.expected, self.seen = what, expected, seen


class Stage:
    """Runs what it shows, and keeps the list of what was found to be so."""

    def __init__(
        self, environment: dict[str, str], sandbox: Sandbox, screen: Screen, examples: str, log: Callable[[], str]
    ) -> None:
        self.sandbox, self.screen, self.examples, self.log = sandbox, screen, examples, log
        self.checks: list[str] = []
        self.environment = dict(environment)
        self.environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])

    def run(self, command: str, *, exit_code: int = 0) -> str:
        """Show the command, run it, show what it says; returns that."""
        self.screen.command(command)
        done = self._shell(command)
        output = (done.stdout + done.stderr).strip()
        if output:
            self.screen.say(output)
        if done.returncode != exit_code:
            raise Unexpected(f"$ {command}", expected=f"exit code {exit_code}", seen=self._circumstances(done))
        return output

    def export(self, name: str, command: str) -> str:
        """Put what a command says into a variable, without showing it; returns it."""
        self.screen.command(f"export {name}=$({command})")
        done = self._shell(command)
        if done.returncode != 0 or not done.stdout:
            problem = f"exit code {done.returncode}: {done.stderr.strip() or 'no output'}"
            raise Unexpected(f"{name}=$({command})", expected="a value", seen=problem)
        self.environment[name] = done.stdout
        return done.stdout

    def get(self, path: str) -> dict[str, Any]:
        """An object as the API server has it; for checks, which show only their result."""
        return json.loads(self.ask(f"kubectl get --raw '{path}'"))

    def ask(self, command: str) -> str:
        """What a command says, without showing it."""
        done = self._shell(command)
        if done.returncode != 0:
            raise Unexpected(command, expected="an answer", seen=done.stderr.strip())
        return done.stdout

    def check(self, what: str, *, expected: object, seen: object) -> None:
        """Note that it is so, or end the demo."""
        if seen != expected:
            raise Unexpected(what, expected=expected, seen=seen)
        self.checks.append(what)
        self.screen.check(what)

    def _shell(self, command: str) -> subprocess.CompletedProcess[str]:
        with self.screen.sign_of_life():
            return subprocess.run(
                ["bash", "-o", "pipefail", "-c", command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )

    def _circumstances(self, done: subprocess.CompletedProcess[str]) -> str:
        found = self._shell("kubectl get cpool,mconn,pods -A -o wide")
        return f"exit code {done.returncode}\n{(found.stdout + found.stderr).strip()}"


@contextmanager
def opened(directory: Path, screen: Screen, examples: str) -> Iterator[Stage]:
    """Everything started, in an empty folder; afterwards everything ended."""
    sandbox = Sandbox(directory, faults=False)
    with ExitStack() as stack:
        stack.callback(sandbox.stop)
        with screen.timed(f"sandbox: an embedded Makini at {sandbox.url}"):
            sandbox.start()
        with screen.timed("Kubernetes: a control plane of its own"):
            cluster = stack.enter_context(LocalKube.start(directory / "cluster"))
        rig = Rig(cluster, directory)
        stack.callback(_stop_operator, rig)
        with screen.timed("CustomResourceDefinitions and RBAC installed"):
            rig.install()
        with screen.timed(f"operator: a process with the chart's rights, in namespace {OPERATOR_NAMESPACE}"):
            rig.start_operator()
        stage = Stage(cluster.environment(), sandbox, screen, examples, rig.operator.text)
        stage.environment |= {"CLIENT_ID": sandbox.client_id, "CLIENT_SECRET": sandbox.client_secret}
        stage.environment["HISTORY"] = str(directory / "history")
        yield stage


def _stop_operator(rig: Rig) -> None:
    rig.operator.stop()  # looked up only now: starting it makes a new process object
