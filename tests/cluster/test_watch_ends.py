"""The operator never lives on blind: when its watching ends, the process ends, and says why."""

from tests.cluster.fixtures_operator import World
from tests.harness import Rig

CRDS = ("crd", "creditpools.makini.io", "makiniconnections.makini.io")
ENDED = "kopf has stopped watching without being asked to"


def test_when_the_definitions_go_away_the_process_ends_and_the_next_one_works(installed: Rig, world: World) -> None:
    """Deleting the definitions deletes the resources, which disconnects them; after that there is nothing to watch."""
    world.make_pool()
    world.apply(world.connection("acme"))
    world.until_ready("acme")
    try:
        world.kubectl("delete", *CRDS, "--timeout=60s")
        assert world.sandbox.connections() == []
        world.until(lambda: not installed.operator.is_running, 60)
        assert ENDED in installed.operator.text()
    finally:
        installed.install()
    installed.start_operator("--account-relist", "3")
    world.make_pool()
    world.apply(world.connection("again"))
    world.until_ready("again")
