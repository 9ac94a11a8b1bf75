"""Many connections at once: never more than the pool has, few writes, and none when nothing changes."""

from typing import Any

from tests.cluster.fixtures_operator import World, condition
from tests.harness.rig import OPERATOR_USER

MANY = 30
WRITES_PER_CONNECTION = 5.5


def test_thirty_for_twenty_credits_hold_exactly_twenty_and_ten_wait_and_say_why(world: World) -> None:
    world.make_pool(20)
    world.apply(*(world.connection(f"cmms-{i:02}") for i in range(MANY)))

    def settled() -> bool:
        phases = [c["status"].get("phase") for c in world.all()]
        return phases.count("Active") == 20 and phases.count("Waiting") == 10

    world.until(settled, 60)
    world.until(lambda: world.get_pool()["status"]["connections"] == {"holding": 20, "waiting": 10})
    world.until(lambda: world.held() == 20)
    assert len(world.sandbox.connections()) == 20
    for waiting in (c for c in world.all() if c["status"]["phase"] == "Waiting"):
        assert {k: waiting["status"]["waiting"][k] for k in ("need", "available")} == {"need": 1, "available": 0}
        assert "needs 1 credit, 0 available" in condition(waiting, "Ready")["message"]
    assert condition(world.get_pool(), "Exhausted")["status"] == "True"

    names = [c["metadata"]["name"] for c in world.all() if c["status"]["phase"] == "Active"][:5]
    world.kubectl("delete", "mconn", *names, "-n", world.namespace)
    world.until(lambda: [c["status"]["phase"] for c in world.all()].count("Active") == 20, 60)
    world.until(lambda: world.held() == 20)


def test_few_writes_until_ready_and_none_afterwards(world: World) -> None:
    """Counted in the API server's audit log, pool writes included (Events and Leases are not logged)."""
    world.make_pool(MANY)
    world.until(lambda: condition(world.get_pool(), "Ready")["status"] == "True")
    start = world.rig.cluster.audit_position()
    world.apply(*(world.connection(f"cmms-{i:02}") for i in range(MANY)))
    world.until(lambda: [c["status"].get("phase") for c in world.all()].count("Active") == MANY, 60)
    world.until(lambda: world.get_pool()["status"]["connections"]["holding"] == MANY)

    until_ready = _writes(world, start)
    assert len(until_ready) <= WRITES_PER_CONNECTION * MANY, _by_kind(until_ready)

    world.until(lambda: world.get_pool()["status"]["account"]["owned"] == MANY)
    quiet = world.rig.cluster.audit_position()
    before = world.sandbox.requests().get("GET /api/system/connections", 0)
    world.until(lambda: world.sandbox.requests()["GET /api/system/connections"] >= before + 4, 60)
    assert _by_kind(_writes(world, quiet)) == {}


def test_a_restart_writes_nothing_on_connections_that_are_settled(world: World) -> None:
    world.make_pool(3)
    world.apply(*(world.connection(f"cmms-{i}") for i in range(3)))
    world.until_ready("cmms-0", "cmms-1", "cmms-2")
    tokens = [world.secret(f"cmms-{i}-makini")["token"] for i in range(3)]
    start = world.rig.cluster.audit_position()

    world.rig.operator.kill()
    world.rig.start_operator("--account-relist", "3")
    epoch = world.get_pool()["status"]["ledger"]["epoch"]
    world.until(lambda: world.get_pool()["status"]["ledger"]["epoch"] > 1, 30)
    before = world.sandbox.requests().get("GET /api/system/connections", 0)
    world.until(lambda: world.sandbox.requests()["GET /api/system/connections"] >= before + 4, 60)

    assert epoch >= 1
    assert set(_by_kind(_writes(world, start))) <= {"patch creditpools/status"}
    assert [world.secret(f"cmms-{i}-makini")["token"] for i in range(3)] == tokens


def _writes(world: World, since: int) -> list[dict[str, Any]]:
    return world.rig.cluster.writes(since, user=OPERATOR_USER)


def _by_kind(writes: list[dict[str, Any]]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for write in writes:
        ref = write["objectRef"]
        resource = "/".join(filter(None, [ref["resource"], ref.get("subresource")]))
        kinds[f"{write['verb']} {resource}"] = kinds.get(f"{write['verb']} {resource}", 0) + 1
    return kinds
