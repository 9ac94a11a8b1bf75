"""No token of a whole life, with rotation, revocation, loss, readers and stores, is anywhere but in Secrets."""

import json
from collections.abc import Iterator

import pytest
from tests.cluster import push_secrets
from tests.cluster.canaries import KINDS, leaks
from tests.cluster.fixtures_operator import World
from tests.cluster.push_secrets import answer, only_push
from tests.cluster.tokens import REVOKE, ROTATE, ask, until_attempt, workload
from tests.harness import Rig, Sandbox
from tests.localkube.ports import free_port

STORE = {"name": "vault", "secretStoreRef": {"kind": "SecretStore", "name": "vault"}, "remoteKey": "acme"}


@pytest.fixture
def metrics() -> str:
    """Where the operator is to show them: the port was free a moment ago, and not when the tests were collected."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def talkative(installed: Rig, sandbox: Sandbox, namespace: str, metrics: str) -> Iterator[World]:
    """At debug level, with metrics."""
    with push_secrets.installed(installed):
        installed.start_operator("--account-relist", "2", "--metrics", metrics)
        made = World(installed, sandbox, namespace)
        yield made
        made.kubectl("delete", "mconn", "--all", "-n", namespace, "--timeout=60s")
        made.kubectl("delete", "cpool", made.pool, "--timeout=60s")
        installed.operator.stop()


def test_no_token_of_a_whole_life_is_found_outside_of_secrets(talkative: World, metrics: str) -> None:
    world = talkative
    tokens = _a_life(world, metrics)
    assert len(tokens) >= 5
    assert leaks(world, tokens, metrics=metrics, kinds=f"{KINDS},{push_secrets.NAME}") == set()


def _a_life(world: World, metrics: str) -> set[str]:
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
            world.rig.start_operator("--account-relist", "2", "--metrics", metrics)
        until_attempt(world, attempt)
        tokens |= {v for k, v in world.secret("acme-makini").items() if "token" in k}
        world.sandbox.heal()
        world.until(lambda: "previous" in json.dumps(world.get("acme")["status"]["token"].get("rotation", {})), 60)
    # another program's words are told, too
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
