"""The search for secrets where none may be: in everything that the operator and its sandbox write, but for Secrets."""

import base64
import json
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.cluster.fixtures_operator import World

KINDS = (
    "mconn,cpool,events,events.events.k8s.io,configmaps,serviceaccounts,roles,rolebindings,cronjobs,"
    "deployments,replicasets,controllerrevisions,leases"
)
LEAST = 16
"""Characters of a canary; so many of its first ones count as a find, too."""


def leaks(world: World, secrets: Iterable[str], *, metrics: str, kinds: str = KINDS) -> set[tuple[str, str]]:
    """Where one of these, or its base64, is found: place and first characters. `metrics`: the operator's HOST:PORT."""
    canaries = set(secrets) | {world.password, world.sandbox.client_secret, world.sandbox.admin_token()}
    canaries |= {base64.b64encode(canary.encode()).decode() for canary in canaries}
    assert all(len(canary) >= LEAST for canary in canaries)
    return {
        (place, canary[:4])
        for place, text in _everything_but_secrets(world, metrics, kinds)
        for canary in canaries
        if canary[:LEAST] in text
    }


def _everything_but_secrets(world: World, metrics: str, kinds: str) -> Iterator[tuple[str, str]]:
    yield "operator log", world.rig.operator.text()
    yield "sandbox log", world.sandbox.process.text()
    yield "objects", world.kubectl("get", kinds, "-A", "-o", "json").stdout
    yield "describe", world.kubectl("describe", "mconn,cpool", "-A").stdout
    yield "secrets' metadata", json.dumps([s["metadata"] for s in world.rig.get("secret", "-A")["items"]])
    yield "arguments", " ".join(world.rig.operator.command + world.sandbox.process.command)
    yield "arguments as the system shows them", _read(Path(f"/proc/{world.rig.operator.pid}/cmdline"))
    yield "environment", _read(Path(f"/proc/{world.rig.operator.pid}/environ"))
    for path in world.sandbox.state.parent.glob("sandbox.sqlite*"):
        yield path.name, _read(path)
    with urllib.request.urlopen(f"http://{metrics}/metrics") as answer:
        shown = answer.read().decode()
    assert "makini_pool_credits" in shown
    assert "makini_tokens" in shown
    yield "metrics", shown


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.exists() else ""
