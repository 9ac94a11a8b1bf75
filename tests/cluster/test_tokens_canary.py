"""No token of a whole life, with rotation, revocation, loss, readers and stores, is anywhere but in Secrets."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import push_secrets
from tests.cluster.fixtures_operator import World
from tests.cluster.push_secrets import answer, only_push
from tests.cluster.tokens import REVOKE, ROTATE, ask, until_attempt, workload
from tests.harness import Rig, Sandbox
from tests.harness.sandbox import free_port

METRICS = free_port()
STORE = {"name": "vault", "secretStoreRef": {"kind": "SecretStore", "name": "vault"}, "remoteKey": "acme"}
KINDS = (
    "mconn,cpool,events,events.events.k8s.io,configmaps,serviceaccounts,roles,rolebindings,cronjobs,"
    "deployments,replicasets,controllerrevisions,leases,pushsecrets.external-secrets.io"
)


@pytest.fixture
def talkative(installed: Rig, sandbox: Sandbox, namespace: str) -> Iterator[World]:
    """At debug level, with metrics."""
    with push_secrets.installed(installed):
        installed.start_operator("--account-relist", "2", "--metrics", f"127.0.0.1:{METRICS}")
        made = World(installed, sandbox, namespace)
        yield made
        made.kubectl("delete", "mconn", "--all", "-n", namespace, "--timeout=60s")
        made.kubectl("delete", "cpool", made.pool, "--timeout=60s")
        installed.operator.stop()


def test_no_token_of_a_whole_life_is_found_outside_of_secrets(talkative: World) -> None:
    world = talkative
    tokens = _a_life(world)
    assert len(tokens) >= 5
    canaries = {*tokens, world.password, world.sandbox.client_secret, world.sandbox.admin_token()}
    canaries |= {base64.b64encode(c.encode()).decode() for c in canaries}
    found = {
        (place, canary[:4])
        for place, text in _everything_but_secrets(world)
        for canary in canaries
        if canary in text or canary[:16] in text
    }
    assert found == set()


def _a_life(world: World) -> set[str]:
    """Published, rotated under faults and a kill, lost, revoked, copied; returns every token that was published."""
    tokens: set[str] = set()
    world.apply(workload("Deployment", "erp", world.namespace))
    world.make_pool()
    token = {
        "readers": [{"serviceAccountName": "erp"}],
        "rolloutRestart": [{"kind": "Deployment", "name": "erp"}],
        "stores": [STORE],
    }
    world.apply(world.connection("acme", token=token))
    push = only_push(world)["metadata"]["name"]
    first = world.secret("acme-makini")["token"]
    answer(world, push, ready=True)
    world.until_ready("acme", seconds=60)

    for attempt, kind in enumerate(("drop-after", "gateway", "status"), start=1):
        rule = {"kind": kind, "status": 500, "path": "^/api/(system|integrations)", "times": 2}
        world.sandbox.fault(rule)
        ask(world, ROTATE)
        if kind == "gateway":
            world.rig.operator.kill()
            world.rig.start_operator("--account-relist", "2", "--metrics", f"127.0.0.1:{METRICS}")
        until_attempt(world, attempt)
        tokens |= {v for k, v in world.secret("acme-makini").items() if "token" in k}
        world.sandbox.heal()
        world.until(lambda: "previous" in json.dumps(world.get("acme")["status"]["token"].get("rotation", {})), 60)
    # another program's words, with a token in them
    token_now = world.secret("acme-makini")["token"]
    answer(world, push, ready=False, message="cannot set secret")
    world.until(lambda: "cannot set secret" in json.dumps(world.get("acme")["status"]), 60)
    answer(world, push, ready=True)
    edited = json.dumps({"stringData": {"previous-token": "edited-by-somebody"}})
    world.kubectl("patch", "secret", "acme-makini", "-n", world.namespace, "--type=merge", "-p", edited)
    until_attempt(world, 4)
    tokens |= {first, token_now, world.secret("acme-makini")["token"]}

    before = world.get("acme")["status"]["connectionID"]
    ask(world, REVOKE)
    world.until(lambda: world.get("acme")["status"].get("connectionID") not in (None, before), 60)
    world.until(lambda: "acme-makini" in world.secret_names(), 60)
    tokens.add(world.secret("acme-makini")["token"])
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
    for path in world.sandbox.state.parent.glob("sandbox.sqlite*"):
        yield path.name, _read(path)
    with urllib.request.urlopen(f"http://127.0.0.1:{METRICS}/metrics") as answered:
        metrics = answered.read().decode()
    assert "makini_tokens" in metrics
    yield "metrics", metrics


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.exists() else ""
