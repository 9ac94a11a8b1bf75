"""Readers on the cluster: the Role and RoleBinding that let ServiceAccounts get the token's Secret."""

from __future__ import annotations

from makini_operator.controllers.plain_children import PlainChildren
from makini_operator.controllers.world import World
from makini_operator.kube.api import ROLE_BINDINGS, ROLES
from makini_operator.lifecycle.observation import ReadersView
from makini_operator.manifests import readers
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason

_FIELD = "spec.token.readers"


class Readers:
    """The readers of any connection."""

    def __init__(self, world: World) -> None:
        self._known = world.children
        refused = Reason.READERS_REFUSED
        self._roles = PlainChildren(world.api, ROLES, self._known.roles, _FIELD, refused)
        self._bindings = PlainChildren(world.api, ROLE_BINDINGS, self._known.role_bindings, _FIELD, refused)

    def look(self, connection: MakiniConnection) -> ReadersView:
        """How they stand, from what is watched."""
        uid = connection.metadata.uid
        return readers.view(self._known.roles_of(uid), self._known.role_bindings_of(uid), connection)

    def may_get(self, connection: MakiniConnection, secret: str) -> bool:
        """Whether a Role of this connection still names this Secret."""
        return any(readers.names(found, secret) for found in self._known.roles_of(connection.metadata.uid))

    async def apply(self, connection: MakiniConnection) -> None:
        """The Role first, so that a binding never refers to nothing. Raises `ChildRefused`, `Conflict`."""
        await self._roles.write(connection, readers.role(connection))
        await self._bindings.write(connection, readers.role_binding(connection))

    async def remove(self, connection: MakiniConnection) -> None:
        """The binding first. Raises `ChildRefused`."""
        uid = connection.metadata.uid
        await self._bindings.remove(self._known.role_bindings_of(uid))
        await self._roles.remove(self._known.roles_of(uid))
