"""What tests of tokens share: requests by annotation, workloads that need no node, a consumer that never stops."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from tests.cluster.fixtures_operator import Manifest, World, tidy
from tests.harness import Rig, Sandbox
from tests.localkube import objects

ROTATE, REVOKE = "makini.io/rotate-requested-at", "makini.io/revoke-requested-at"
RESTARTED = "restarted.makini.io/acme"


@contextmanager
def world_of(rig: Rig, namespace: str, directory: Path, *arguments: str) -> Iterator[World]:
    """A world whose sandbox was started with these arguments."""
    sandbox = Sandbox(directory, *arguments)
    sandbox.start()
    try:
        made = World(rig, sandbox, namespace)
        yield made
        if rig.operator.is_running:
            tidy(made)
    finally:
        sandbox.stop()


def ask(world: World, what: str, name: str = "acme") -> str:
    """Request it by annotation; returns the moment that was written."""
    moment = datetime.now(UTC).isoformat()
    objects.patch(world.rig.cluster, "mconn", name, {"metadata": {"annotations": {what: moment}}}, world.namespace)
    return moment


def token_status(world: World, name: str = "acme") -> Manifest:
    found: Manifest = world.get(name)["status"].get("token") or {}
    return found


def until_attempt(world: World, attempt: int, name: str = "acme") -> Manifest:
    """Wait until this many tokens have followed the first; returns `status.token`."""
    return world.until(lambda: s if (s := token_status(world, name)).get("attempt", 0) >= attempt else None, 60)


def until_over(world: World, attempt: int, name: str = "acme", seconds: float = 60) -> Manifest:
    """Wait until that rotation has come to its end."""

    def over() -> Manifest | None:
        status = token_status(world, name)
        return status if status.get("attempt", 0) >= attempt and "rotation" not in status else None

    return world.until(over, seconds)


def mints(world: World) -> int:
    return world.sandbox.requests().get("POST /api/system/connections/{id}/token", 0)


def workload(kind: str, name: str, namespace: str, **spec: Any) -> Manifest:
    """A workload whose rollout is complete at once: it has no pods."""
    labels = {"app": name}
    pod = {"containers": [{"name": "app", "image": "app:1"}]}
    base: Manifest = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    if kind != "DaemonSet":
        base["replicas"] = 0
    if kind == "StatefulSet":
        base["serviceName"] = name
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": base | spec}


def restarts(world: World, kind: str, name: str) -> str | None:
    found = world.rig.get(kind, name, "-n", world.namespace)
    annotations = found["spec"]["template"]["metadata"].get("annotations") or {}
    value: str | None = annotations.get(RESTARTED)
    return value


class Consumer:
    """Reads its Secret through the API before each call, and calls Makini until told to stop."""

    def __init__(self, world: World, secret: str = "acme-makini") -> None:  # noqa: S107 - a name
        self._world, self._secret = world, secret
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: list[int] = []
        self.trouble = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def calls(self) -> int:
        return len(self.answers)

    def _run(self) -> None:
        path = f"/api/v1/namespaces/{self._world.namespace}/secrets/{self._secret}"
        try:
            while not self._stop.wait(0.02):
                status, text = self._world.rig.cluster.request("GET", path)
                assert status == 200, text
                token = _decoded(json.loads(text)["data"]["token"])
                self.answers.append(self._world.sandbox.call("GET", "/api/erp/purchase-orders", token=token)[0])
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            self.trouble = repr(error)


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode()
