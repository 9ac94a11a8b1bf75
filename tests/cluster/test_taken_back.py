"""`connected: false` that is taken back while the disconnect is under way."""

import json
import os
import signal

import pytest
import yaml
from tests.cluster.fixtures_operator import World
from tests.cluster.proxied import proxied
from tests.harness import Rig, Sandbox
from tests.harness.rig import ROOT
from tests.localkube.waiting import wait_until


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "paused"])
def test_a_disconnect_that_is_taken_back_is_not_taken_for_somebody_elses(
    installed: Rig, sandbox: Sandbox, namespace: str, how: signal.Signals
) -> None:
    """The operator is struck when Makini has ended the connection and nothing is recorded of that yet."""
    with proxied(installed, sandbox, namespace) as world:
        struck: list[str] = []

        def strike(_: int, what: str) -> bool:
            if struck or not what.startswith("DELETE /api/system/connections/"):
                return False
            struck.append(what)
            os.kill(installed.operator.pid, how)
            return True

        world.make_pool(1)
        world.apply(world.connection("cmms"))
        world.until_ready("cmms")
        former = world.get("cmms")["status"]["connectionID"]
        world.kube.writes.on_write = strike
        world.patch("cmms", {"connected": False})
        wait_until(lambda: struck, 30, "Makini to be asked for the disconnect")
        assert world.get("cmms")["status"]["closing"] == former

        world.patch("cmms", {"connected": True})
        if how is signal.SIGSTOP:
            os.kill(installed.operator.pid, signal.SIGCONT)
        world.until_ready("cmms", seconds=60)

        status = world.get("cmms")["status"]
        assert "closing" not in status
        assert status["connectionID"] != former
        assert [(entry["connectionID"], entry["reason"]) for entry in status["history"]] == [(former, "Disconnected")]
        assert [row["key"] for row in sandbox.connections()] == [status["connectionID"]]
        assert sandbox.accepts(world.secret("cmms-makini")["token"])


def test_definitions_that_are_older_than_the_operator_do_not_hold_up_a_disconnect(world: World) -> None:
    """The API server drops `status.closing` then."""
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    older = yaml.safe_load((ROOT / "crds/makiniconnections.yaml").read_text())
    del older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["closing"]
    try:
        world.apply(older)
        world.until(lambda: closing_is_dropped(world))
        world.patch("cmms", {"connected": False})
        world.until_reason("cmms", "Disconnected")
        assert world.sandbox.connections() == []
        assert "apply crds/" in world.rig.operator.text()
    finally:
        world.rig.install()
        world.until(lambda: not closing_is_dropped(world))


def closing_is_dropped(world: World) -> bool:
    """Whether the API server drops that field; a dry run shows it."""
    patch = json.dumps({"status": {"closing": "probe"}})
    shown = world.kubectl(
        *("patch", "mconn", "cmms", "-n", world.namespace, "--subresource=status", "--type=merge", "-p", patch),
        *("--dry-run=server", "-o", "jsonpath={.status.closing}"),
    )
    return not shown.stdout
