"""Where sync pods may go, on the cluster: one NetworkPolicy for each connection whose spec asks for it."""

from __future__ import annotations

from makini_operator.controllers.plain_children import PlainChildren
from makini_operator.controllers.world import World
from makini_operator.kube.api import NETWORK_POLICIES
from makini_operator.lifecycle.observation import EgressView
from makini_operator.manifests import egress
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason


class Egress:
    """The NetworkPolicy of any connection's syncs."""

    def __init__(self, world: World) -> None:
        self._known = world.children
        self._policies = PlainChildren(
            world.api, NETWORK_POLICIES, self._known.network_policies, "spec.syncEgress", Reason.SYNC_REFUSED
        )

    def look(self, connection: MakiniConnection) -> EgressView:
        """How it stands, from what is watched."""
        return egress.view(self._known.network_policies_of(connection.metadata.uid), connection)

    async def apply(self, connection: MakiniConnection) -> None:
        """Write it. Raises `ChildRefused`, `Conflict`."""
        await self._policies.write(connection, egress.network_policy(connection))

    async def remove(self, connection: MakiniConnection) -> None:
        """Delete it. Raises `ChildRefused`."""
        await self._policies.remove(self._known.network_policies_of(connection.metadata.uid))
