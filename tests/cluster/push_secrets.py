"""External Secrets Operator as a connection sees it: its definition of PushSecret, and a controller played by hand.

The definition is reduced to what is served: any spec, and a status of its own. What the real one does is for
`make test-integrations`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.cluster.fixtures_operator import Manifest, World
from tests.harness import Rig
from tests.localkube import objects

NAME = "pushsecrets.external-secrets.io"
_FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DEFINITION: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME},
    "spec": {
        "group": "external-secrets.io",
        "scope": "Namespaced",
        "names": {"kind": "PushSecret", "plural": "pushsecrets", "singular": "pushsecret"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": _FREE, "status": _FREE}}},
            }
        ],
    },
}


def install(rig: Rig) -> None:
    rig.apply(DEFINITION)
    rig.cluster.kubectl("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=30s")


@contextmanager
def installed(rig: Rig) -> Iterator[None]:
    """With the definition, until the end of the block."""
    install(rig)
    try:
        yield
    finally:
        rig.cluster.kubectl("delete", "crd", NAME, "--ignore-not-found", "--timeout=60s")


def pushes(world: World) -> list[Manifest]:
    found: list[Manifest] = world.rig.get(NAME, "-n", world.namespace)["items"]
    return found


def only_push(world: World) -> Manifest:
    world.until(lambda: len(pushes(world)) == 1)
    (only,) = pushes(world)
    return only


def answer(world: World, name: str, *, ready: bool, message: str = "") -> None:
    """What the controller writes after an attempt."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": "Ready",
        "status": str(ready),
        "reason": "Synced" if ready else "Errored",
        "message": message,
        "lastTransitionTime": now,
    }
    status: dict[str, Any] = {"conditions": [condition], "refreshTime": now}
    objects.patch(world.rig.cluster, NAME, f"{name}/status", {"status": status}, world.namespace)
