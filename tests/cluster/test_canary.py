"""Tokens and passwords are in Secrets and nowhere else: everything else is searched for them, at debug level."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.fixtures_operator import World
from tests.harness import Rig, Sandbox
from tests.harness.sandbox import free_port

METRICS = free_port()
KINDS = "mconn,cpool,events,events.events.k8s.io,configmaps,serviceaccounts,roles,rolebindings"


@pytest.fixture
def talkative(installed: Rig, sandbox: Sandbox, namespace: str) -> Iterator[World]:
    address = f"127.0.0.1:{METRICS}"
    installed.start_operator("--account-relist", "2", "--metrics", address)
    yield World(installed, sandbox, namespace)
    installed.operator.stop()


def test_no_token_and_no_password_is_found_outside_of_secrets(talkative: World) -> None:
    world = talkative
    tokens = _a_life_with_errors(world)
    canaries = {*tokens, world.password, world.sandbox.client_secret, world.sandbox.admin_token()}
    canaries |= {base64.b64encode(c.encode()).decode() for c in canaries}
    assert all(len(canary) >= 16 for canary in canaries)

    found = {
        (place, canary[:4])
        for place, text in _everything_but_secrets(world)
        for canary in canaries
        if canary in text or canary[:16] in text
    }
    assert found == set()
    world.kubectl("delete", "mconn", "--all", "-n", world.namespace)
    world.kubectl("delete", "cpool", world.pool)


def test_the_search_would_find_a_planted_token(talkative: World) -> None:
    """The test above can fail: a token that somebody puts into an annotation is found."""
    world = talkative
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    token = world.secret("cmms-makini")["token"]
    world.kubectl("annotate", "mconn", "cmms", "-n", world.namespace, f"oops={token}")
    assert any(token in text for _, text in _everything_but_secrets(world))
    world.kubectl("delete", "mconn", "--all", "-n", world.namespace)
    world.kubectl("delete", "cpool", world.pool)


def _a_life_with_errors(world: World) -> set[str]:
    """Every step with every kind of failure; returns all tokens that were ever published."""
    tokens: set[str] = set()
    world.make_pool()
    rejected = world.login_secret() | {"stringData": {"login": world.password, "password": "wrong"}}
    world.apply(rejected, world.connection("rejected"))
    world.until_reason("rejected", "CredentialsRejected")
    world.apply(world.login_secret())
    for number, kind in enumerate(("drop-after", "drop-before", "gateway", "status", "latency")):
        name = f"c{number}"
        rule = {"kind": kind, "status": 500, "seconds": 0.1, "path": "^/api/(system|integrations)", "times": 2}
        world.sandbox.fault(rule)
        world.apply(world.connection(name, metadata={"plan": "gold"}))
        world.until_ready(name, seconds=60)
        tokens.add(world.secret(f"{name}-makini")["token"])
    patch = json.dumps({"stringData": {"token": "edited-by-somebody"}})
    world.kubectl("patch", "secret", "c0-makini", "-n", world.namespace, "--type=merge", "-p", patch)
    world.until(lambda: world.sandbox.accepts(world.secret("c0-makini")["token"]))
    tokens.add(world.secret("c0-makini")["token"])
    world.sandbox.fault({"kind": "drop-after", "path": "/link/token", "times": 2})
    world.sandbox.stop()
    world.delete("c1", wait=False)
    world.patch("c2", {"connected": False})
    world.until(lambda: "MakiniUnreachable" in json.dumps(world.get("c2")["status"]))
    world.sandbox.start()
    world.until_reason("c2", "Disconnected", seconds=60)
    world.patch("c2", {"connected": True})
    world.until_ready("c2", seconds=60)
    tokens.add(world.secret("c2-makini")["token"])
    return tokens


def _everything_but_secrets(world: World) -> Iterator[tuple[str, str]]:
    yield "operator log", world.rig.operator.text()
    yield "sandbox log", world.sandbox.process.text()
    yield "objects", world.kubectl("get", KINDS, "-A", "-o", "json").stdout
    yield "describe", world.kubectl("describe", "mconn,cpool", "-A").stdout
    yield "secrets' metadata", json.dumps([s["metadata"] for s in world.rig.get("secret", "-A")["items"]])
    yield "arguments", " ".join(world.rig.operator.command + world.sandbox.process.command)
    yield "arguments as the system shows them", _read(Path(f"/proc/{world.rig.operator.pid}/cmdline"))
    yield "environment", _read(Path(f"/proc/{world.rig.operator.pid}/environ"))
    yield "sandbox state", _read(world.sandbox.state)
    with urllib.request.urlopen(f"http://127.0.0.1:{METRICS}/metrics") as answer:
        metrics = answer.read().decode()
    assert "makini_pool_credits" in metrics
    yield "metrics", metrics


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.exists() else ""
