"""What each measurement plays on: a control plane, a sandbox and the operator, all its own, and what a user applies."""

import asyncio
import json
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import measure
from tests.bench.client import SAY_EVERY, Object, say
from tests.harness import Rig, Sandbox
from tests.harness.process import Process
from tests.localkube import LocalKube

NAMESPACE, POOL, ACCOUNT, LOGIN = "bench", "bench", "bench-account", "customer-login"
WITHIN = 1200.0
"""Seconds after which what has not come true is given up."""
QUIET = 0.05
"""Part of a core below which the operator does next to nothing."""
QUIET_WINDOW, QUIET_WINDOWS = 1.0, 2
"""Seconds of one window, and how many in a row."""
REQUESTS_PER_SECOND = 10_000
"""What the operator is allowed to ask of the sandbox: here Makini must not be what is waited for."""


@dataclass
class Scene:
    """Everything under measurement; operators are started and stopped by the measurement."""

    cluster: LocalKube
    rig: Rig
    sandbox: Sandbox
    arguments: tuple[str, ...]
    operators: list[Process] = field(default_factory=list)

    def start_operator(self) -> Process:
        """A new process; its start is not waited for."""
        kubeconfig = self.rig.directory / "operator.kubeconfig"
        if not kubeconfig.exists():
            kubeconfig.write_text(json.dumps(self.rig._kubeconfig()))
        identity = f"bench-{len(self.operators)}"
        process = self.rig.another_operator(identity, "--log-level", "info", *self.arguments)
        self.operators.append(process)
        process.start()
        say(f"operator: pid {process.pid}")
        return process

    def token(self) -> str:
        """The operator's own token, for writes that only the operator may make."""
        kubeconfig = json.loads((self.rig.directory / "operator.kubeconfig").read_text())
        return kubeconfig["users"][0]["user"]["token"]

    def apply_pool(self, credits: int) -> None:  # noqa: A002 - the field's name
        login = {"api": "https://erp.acme.example", "login": "makini", "password": "example"}
        spec = {"credits": credits, "account": {"url": self.sandbox.url, "credentialsSecretRef": {"name": ACCOUNT}}}
        self.rig.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            self.rig.account_secret(ACCOUNT, self.sandbox),
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": LOGIN, "namespace": NAMESPACE},
                "stringData": login,
            },
            {"apiVersion": "makini.io/v1beta1", "kind": "CreditPool", "metadata": {"name": POOL}, "spec": spec},
        )

    def check(self) -> None:
        """Fail at once when the operator has ended."""
        self.cluster.check()
        for process in self.operators[-1:]:
            assert process.is_running, f"the operator has ended\n{process.text()[-3000:]}"

    async def until(self, what: str, is_so: Callable[[], Awaitable[Any]]) -> None:
        """Ask ten times a second until it is so; fails when it is not in time, or the operator has ended."""
        deadline, said = time.monotonic() + WITHIN, time.monotonic()
        while not await is_so():
            self.check()
            assert time.monotonic() < deadline, f"{what}: not in time\n{self.operators[-1].text()[-3000:]}"
            if time.monotonic() - said > SAY_EVERY:
                said = time.monotonic()
                say(f"{what}: operator has {measure.resident_mib(self.operators[-1].pid):.0f} MiB")
            await asyncio.sleep(0.1)

    async def until_quiet(self, operator: Process) -> None:
        """Until the operator does next to nothing in two windows of a second in a row."""
        deadline, windows = time.monotonic() + WITHIN, 0
        while windows < QUIET_WINDOWS:
            span = measure.CpuSpan(operator.pid)
            await asyncio.sleep(QUIET_WINDOW)
            windows = windows + 1 if span.cpu() < QUIET * QUIET_WINDOW else 0
            self.check()
            assert time.monotonic() < deadline, "the operator does not come to rest"


def connection(name: str, namespace: str = NAMESPACE, **metadata: Any) -> Object:
    """A connection that costs one credit."""
    return {
        "apiVersion": "makini.io/v1beta1",
        "kind": "MakiniConnection",
        "metadata": {"name": name, "namespace": namespace} | metadata,
        "spec": {
            "poolRef": {"name": POOL},
            "system": {"name": "fiix", "deployment": "Cloud"},
            "environment": "Production",
            "customer": {"name": "Acme", "email": "it@acme.example"},
            "authorization": {"credentials": {"secretRef": {"name": LOGIN}}},
        },
    }


@contextmanager
def opened(directory: Path, *, page_size: int, arguments: str) -> Iterator[Scene]:
    """A fresh control plane and an empty sandbox without latency; afterwards everything has ended."""
    directory.mkdir()
    with ExitStack() as stack:
        sandbox = Sandbox(directory, "--page-size", str(page_size))
        stack.callback(sandbox.stop)
        sandbox.start()
        say("starting a control plane")
        cluster = stack.enter_context(LocalKube.start(directory / "cluster"))
        rig = Rig(cluster, directory)
        rig.install()
        rate = ("--account-requests-per-second", str(REQUESTS_PER_SECOND))
        scene = Scene(cluster, rig, sandbox, (*rate, *shlex.split(arguments)))
        stack.callback(_stop, scene)
        yield scene


def _stop(scene: Scene) -> None:
    failed = sys.exc_info()[0] is not None
    for process in scene.operators:
        if failed and process.is_running:
            say(process.text()[-2000:])
        process.stop()
