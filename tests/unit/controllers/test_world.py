"""What the world knows of who owns what: also of resources that this version cannot read."""

import asyncio
from collections.abc import Callable
from typing import Any

from makini_operator.controllers.installation import Installation
from makini_operator.controllers.workqueue import WorkQueue
from makini_operator.controllers.world import World
from makini_operator.kube.events import EventRecorder
from makini_operator.lifecycle import marker
from makini_operator.lifecycle.marker import InstallationKey

KEY = InstallationKey(b"k" * 32)
UNREADABLE = {"metadata": {"namespace": "acme", "name": "from-the-future", "uid": "u1", "resourceVersion": "7"}}


class OneList:
    """An API server that lists these objects, whatever is asked for."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = list(objects)

    async def list_through(self, _: object, take: Callable[[Any], Any], **__: object) -> list[Any]:
        return [take(obj) for obj in await self.list_all()]

    async def list_all(self, *_: object, **__: object) -> list[dict[str, Any]]:
        return self.objects


async def _settled(_: str) -> None:
    return None


def _world(api: OneList) -> World:
    async def made() -> World:
        queue = WorkQueue(_settled, workers=1)
        installation = Installation("i", KEY, None)
        return World(api, "ns", installation, EventRecorder(api, instance="i"), lambda _: None, queue)  # type: ignore[arg-type, return-value]

    return asyncio.run(made())


def test_a_connection_of_an_unreadable_resource_has_an_owner_until_the_resource_is_gone() -> None:
    """Otherwise a downgrade would take live customers' connections for orphans and disconnect them."""
    api = OneList(UNREADABLE)
    world = _world(api)
    tag = marker.tag(KEY, namespace="acme", name="from-the-future", uid="u1")

    asyncio.run(world.relist_connections())
    assert world.uid_of(tag) == "u1"

    api.objects.clear()
    asyncio.run(world.relist_connections())
    assert world.uid_of(tag) is None
