"""What a process that takes a pool over does to connections (docs/architecture.md, rule 2)."""

from __future__ import annotations

import asyncio

from makini_operator.controllers.world import World
from makini_operator.kube.api import CONNECTIONS
from makini_operator.kube.errors import Conflict, NotFound, ReplyLost
from makini_operator.resources.connection import MakiniConnection

TOUCHES = 16
"""Connections that are touched at a time."""


async def touch_unclaimed(world: World, pool: str) -> None:
    """Change each connection of the pool that has no claim, so that a late claim of a former leader must fail.

    Raises:
        KubeError: one of them could not be touched; all are to be tried again.
    """
    unclaimed = [c for c in world.connections if c.spec.pool_ref.name == pool and not c.status.credits]
    for start in range(0, len(unclaimed), TOUCHES):
        some = (_touch(world, connection) for connection in unclaimed[start : start + TOUCHES])
        for outcome in await asyncio.gather(*some, return_exceptions=True):
            if outcome is not None:
                raise outcome


async def _touch(world: World, connection: MakiniConnection) -> None:
    current: MakiniConnection | None = connection
    while current and current.status.credits is None:
        meta = current.metadata
        change = {"status": {"touchedBy": world.incarnation}}
        try:
            written = await world.api.patch(
                CONNECTIONS,
                meta.namespace,
                meta.name,
                change,
                uid=meta.uid,
                version=meta.resource_version,
                subresource="status",
            )
        except NotFound:
            return
        except (Conflict, ReplyLost):
            current = await _fresh(world, current)
        else:
            world.take_connection(written)
            return


async def _fresh(world: World, connection: MakiniConnection) -> MakiniConnection | None:
    meta = connection.metadata
    try:
        found = await world.api.get(CONNECTIONS, meta.namespace, meta.name)
    except NotFound:
        return None
    current = world.take_connection(found)
    return current if current and current.metadata.uid == meta.uid else None
