"""Tokens and passwords are in Secrets and nowhere else: everything else is searched for them, at debug level."""

import json
from collections.abc import Iterator

import pytest
from tests.cluster.canaries import leaks
from tests.cluster.fixtures_operator import World
from tests.harness import Rig, Sandbox
from tests.localkube.ports import free_port


@pytest.fixture
def metrics() -> str:
    """Where the operator is to show them: the port was free a moment ago, and not when the tests were collected."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def talkative(installed: Rig, sandbox: Sandbox, namespace: str, metrics: str) -> Iterator[World]:
    installed.start_operator("--account-relist", "2", "--metrics", metrics)
    yield World(installed, sandbox, namespace)
    installed.operator.stop()


def test_no_token_and_no_password_is_found_outside_of_secrets(talkative: World, metrics: str) -> None:
    world = talkative
    tokens = _a_life_with_errors(world)
    assert leaks(world, tokens, metrics=metrics) == set()
    world.kubectl("delete", "mconn", "--all", "-n", world.namespace)
    world.kubectl("delete", "cpool", world.pool)


def test_the_search_would_find_a_planted_token(talkative: World, metrics: str) -> None:
    """The test above can fail: a token that somebody puts into an annotation is found."""
    world = talkative
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    token = world.secret("cmms-makini")["token"]
    world.kubectl("annotate", "mconn", "cmms", "-n", world.namespace, f"oops={token}")
    assert ("objects", token[:4]) in leaks(world, {token}, metrics=metrics)
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
