"""Fixtures for tests that run the operator: one rig per run, one sandbox and one pool per test."""

import base64
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.kstatus import check_honest, compute
from tests.harness import Rig, Sandbox
from tests.localkube import LocalKube, objects
from tests.localkube.waiting import wait_until

Manifest = dict[str, Any]
STARTED_WITH = ("--account-relist", "3")


class World:
    """What a test does as a user: apply, look, and ask the other side."""

    def __init__(self, rig: Rig, sandbox: Sandbox, namespace: str) -> None:
        self.rig, self.sandbox, self.namespace = rig, sandbox, namespace
        self.kubectl = rig.cluster.kubectl
        suffix = secrets.token_hex(3)
        self.pool, self.account = f"pool-{suffix}", f"account-{suffix}"
        self.login = "customer-login"
        self.password = f"canary-password-{secrets.token_hex(8)}"

    # --- doing -----------------------------------------------------------------------------------------------------

    def make_pool(self, credits: int = 12, **spec: Any) -> None:  # noqa: A002 - the field's name
        account = {"url": self.sandbox.url, "credentialsSecretRef": {"name": self.account}}
        self.rig.apply(self.rig.account_secret(self.account, self.sandbox), self.login_secret())
        self.rig.apply(_object("CreditPool", self.pool, spec={"credits": credits, "account": account} | spec))

    def login_secret(self) -> Manifest:
        values = {"api": "https://erp.acme.example", "login": "makini", "password": self.password}
        meta = {"name": self.login, "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": values}

    def connection(
        self, name: str, system: str = "fiix", deployment: str = "Cloud", environment: str = "Production", **spec: Any
    ) -> Manifest:
        base = {
            "poolRef": {"name": self.pool},
            "system": {"name": system, "deployment": deployment},
            "environment": environment,
            "customer": {"name": "Acme", "email": "it@acme.example"},
            "authorization": {"credentials": {"secretRef": {"name": self.login}}},
        }
        return _object("MakiniConnection", name, self.namespace, spec=base | spec)

    def apply(self, *manifests: Manifest) -> None:
        self.rig.apply(*manifests)

    def patch(self, name: str, spec: Manifest) -> None:
        objects.patch(self.rig.cluster, "mconn", name, {"spec": spec}, self.namespace)

    def delete(self, name: str, *, wait: bool = True) -> None:
        assert self.rig.get("mconn", name, "-n", self.namespace)
        objects.delete(self.rig.cluster, "mconn", name, self.namespace, seconds=60 if wait else 0)

    # --- looking ---------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Manifest:
        obj = self.rig.get("mconn", name, "-n", self.namespace)
        if obj["status"].get("conditions"):
            check_honest(obj)
        return obj

    def get_pool(self) -> Manifest:
        obj = self.rig.get("cpool", self.pool)
        if obj["status"].get("conditions"):
            check_honest(obj)
        return obj

    def all(self) -> list[Manifest]:
        return self.rig.get("mconn", "-n", self.namespace)["items"]

    def held(self) -> int:
        return self.get_pool()["status"]["credits"]["held"]

    def secret(self, name: str) -> dict[str, str]:
        data = self.rig.get("secret", name, "-n", self.namespace)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def secret_names(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.rig.get("secret", "-n", self.namespace)["items"]}

    def events(self, name: str) -> list[tuple[str, str]]:
        items = self.rig.get("events.events.k8s.io", "-n", self.namespace)["items"]
        mine = [e for e in items if e["regarding"]["name"] == name]
        return [(e["reason"], e["note"]) for e in sorted(mine, key=lambda e: e["eventTime"])]

    # --- waiting ---------------------------------------------------------------------------------------------------

    def until(self, what: Callable[[], Any], seconds: float = 30) -> Any:
        """Wait; a field that is not there yet is one that has not its value yet."""

        def seen() -> Any:
            try:
                return what()
            except (KeyError, TypeError) as error:
                raise AssertionError(f"not there yet: {error!r}") from error

        return wait_until(seen, seconds, self._seen)

    def until_ready(self, *names: str, seconds: float = 30) -> None:
        for name in names:
            self.until_reason(name, "Connected", seconds=seconds)

    def until_reason(self, name: str, reason: str, *, seconds: float = 30) -> Manifest:
        """Wait until Ready shows this reason for the newest generation; returns the object."""

        def shown() -> Manifest | None:
            obj = self.get(name)
            is_current = obj["status"].get("observedGeneration") == obj["metadata"]["generation"]
            return obj if is_current and condition(obj, "Ready")["reason"] == reason else None

        return self.until(shown, seconds)

    def _seen(self) -> str:
        lines = [f"{o['metadata']['name']}: {compute(o)} {_ready(o)}" for o in self.all()]
        return "\n".join([*lines, self.rig.operator.text()[-3000:]])


def condition(obj: Manifest, kind: str) -> Manifest:
    found = [c for c in obj["status"].get("conditions", []) if c["type"] == kind]
    assert found, f"{obj['metadata']['name']} has no condition {kind} yet"
    return found[0]


def _ready(obj: Manifest) -> str:
    return next((c["message"] for c in obj["status"].get("conditions", []) if c["type"] == "Ready"), "no status")


def _object(kind: str, name: str, namespace: str | None = None, *, spec: Manifest) -> Manifest:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "makini.io/v1beta1", "kind": kind, "metadata": meta, "spec": spec}


@pytest.fixture(scope="session")
def installed(cluster: LocalKube, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """The rig, with everything installed and no operator running."""
    rig = Rig(cluster, tmp_path_factory.mktemp("rig"))
    rig.install()
    return rig


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A Makini of the test's own."""
    running = Sandbox(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def operator_of_the_file(installed: Rig) -> Iterator[Rig]:
    """The operator goes on from test to test: what one leaves in it is found by the next, as in production."""
    yield installed
    if installed.operator.is_running:
        assert installed.operator.stop() == 0, installed.operator.text()[-3000:]


@pytest.fixture
def rig(operator_of_the_file: Rig) -> Rig:
    """The rig with a running operator. Makini accounts are listed often, so that tests need not wait."""
    if not operator_of_the_file.runs_with(*STARTED_WITH):
        operator_of_the_file.start_operator(*STARTED_WITH)
    return operator_of_the_file


@pytest.fixture
def world(rig: Rig, sandbox: Sandbox, namespace: str) -> Iterator[World]:
    """A tenant's namespace, a sandbox, and a running operator; at the end everything is taken down and looked at."""
    made = World(rig, sandbox, namespace)
    yield made
    if not sandbox.process.is_running:
        sandbox.start()
    if not rig.operator.is_running:
        rig.start_operator(*STARTED_WITH)
    sandbox.heal()
    tidy(made)


def tidy(world: World) -> None:
    """Delete what the test made, and see that nothing stays: not at Makini, not in the pool, not in the namespace."""
    objects.delete_all(world.rig.cluster, "mconn", world.namespace, seconds=60)
    assert world.sandbox.connections() == []
    objects.delete(world.rig.cluster, "cpool", world.pool, seconds=60)
