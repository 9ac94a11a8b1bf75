"""Readers on the cluster: the Role and RoleBinding that let ServiceAccounts get the token's Secret."""

from __future__ import annotations

from makini_operator.controllers.notes import ChildRefused
from makini_operator.controllers.world import World
from makini_operator.kube.api import ROLE_BINDINGS, ROLES, Object, Resource
from makini_operator.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from makini_operator.kube.store import ObjectStore
from makini_operator.lifecycle.observation import ReadersView
from makini_operator.manifests import readers
from makini_operator.manifests.ownership import onto
from makini_operator.manifests.readers import GrantRecord
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason


class Readers:
    """The readers of any connection."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stores: dict[Resource, ObjectStore[GrantRecord]] = {
            ROLES: world.children.roles,
            ROLE_BINDINGS: world.children.role_bindings,
        }

    def look(self, connection: MakiniConnection) -> ReadersView:
        """How they stand, from what is watched."""
        uid = connection.metadata.uid
        return readers.view(self._world.children.roles_of(uid), self._world.children.role_bindings_of(uid), connection)

    def may_get(self, connection: MakiniConnection, secret: str) -> bool:
        """Whether a Role of this connection still names this Secret."""
        return any(readers.names(found, secret) for found in self._world.children.roles_of(connection.metadata.uid))

    async def apply(self, connection: MakiniConnection) -> None:
        """The Role first, so that a binding never refers to nothing. Raises `ChildRefused`, `Conflict`."""
        await self._write(ROLES, connection, readers.role(connection))
        await self._write(ROLE_BINDINGS, connection, readers.role_binding(connection))

    async def remove(self, connection: MakiniConnection) -> None:
        """The binding first. Raises `ChildRefused`."""
        uid = connection.metadata.uid
        owned = (
            *((ROLE_BINDINGS, found) for found in self._world.children.role_bindings_of(uid)),
            *((ROLES, found) for found in self._world.children.roles_of(uid)),
        )
        for resource, found in owned:
            meta = found.metadata
            try:
                await self._world.api.delete(resource, meta.namespace, meta.name, uid=meta.uid)
            except (Forbidden, Invalid) as error:
                message = f"the right of the token's readers cannot be taken: {error.said}"
                raise ChildRefused(Reason.READERS_REFUSED, message) from None
            self._stores[resource].remove(meta.uid)

    async def _write(self, resource: Resource, connection: MakiniConnection, wanted: Object) -> None:
        namespace, name = connection.metadata.namespace, wanted["metadata"]["name"]
        try:
            actual = await self._world.api.get(resource, namespace, name)
        except NotFound:
            actual = None
        try:
            if actual is None:
                written = await self._world.api.create(resource, namespace, wanted)
            else:
                _check_ours(actual, connection, wanted["kind"])
                if _says_the_same(actual, wanted):
                    self._stores[resource].put(readers.record(actual))
                    return
                written = await self._world.api.replace(resource, namespace, onto(actual, wanted))
        except AlreadyExists as error:
            raise Conflict(str(error), status=409) from None
        except (Forbidden, Invalid) as error:
            message = f"{wanted['kind']} {name} for spec.token.readers is refused by Kubernetes: {error.said}"
            raise ChildRefused(Reason.READERS_REFUSED, message) from None
        self._stores[resource].put(readers.record(written))


def _check_ours(actual: Object, connection: MakiniConnection, kind: str) -> None:
    found = readers.record(actual)
    if not readers.is_ours(found, connection):
        message = (
            f"spec.token.readers needs {kind} {found.metadata.name}, which exists and belongs to {found.owner}: "
            f"it is left alone; delete it"
        )
        raise ChildRefused(Reason.READERS_REFUSED, message)


def _says_the_same(actual: Object, wanted: Object) -> bool:
    labels = actual["metadata"].get("labels") or {}
    return (
        readers.record(actual).content == tuple(wanted.get(part) for part in ("rules", "subjects", "roleRef"))
        and wanted["metadata"]["labels"].items() <= labels.items()
    )
