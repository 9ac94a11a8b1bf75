"""Writing and removing children that are stored as they are sent (`manifests/plain.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from makini_operator.controllers.notes import ChildRefused
from makini_operator.kube.api import KubeApi, Object, Resource
from makini_operator.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from makini_operator.kube.store import ObjectStore
from makini_operator.manifests import plain
from makini_operator.manifests.ownership import onto
from makini_operator.manifests.plain import PlainRecord
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason


@dataclass(frozen=True)
class PlainChildren:
    """Those of one kind. `field` is the part of the spec that asks for them; `refused` what a refusal is called."""

    api: KubeApi
    resource: Resource
    store: ObjectStore[PlainRecord]
    field: str
    refused: Reason

    async def write(self, connection: MakiniConnection, wanted: Object) -> None:
        """Create it, or put it right; one that is somebody else's is left alone. Raises `ChildRefused`, `Conflict`."""
        namespace, name = connection.metadata.namespace, wanted["metadata"]["name"]
        try:
            actual = await self.api.get(self.resource, namespace, name)
        except NotFound:
            actual = None
        try:
            if actual is None:
                written = await self.api.create(self.resource, namespace, wanted)
            else:
                self._check_ours(actual, connection, wanted["kind"])
                if plain.is_as_wanted(plain.record(actual), wanted):
                    self.store.put(plain.record(actual))
                    return
                written = await self.api.replace(self.resource, namespace, onto(actual, wanted))
        except AlreadyExists as error:
            raise Conflict(str(error), status=409) from None
        except (Forbidden, Invalid) as error:
            message = f"{wanted['kind']} {name} for {self.field} is refused by Kubernetes: {error.said}"
            raise ChildRefused(self.refused, message) from None
        self.store.put(plain.record(written))

    async def remove(self, found: list[PlainRecord]) -> None:
        """Delete these. Raises `ChildRefused`."""
        for each in found:
            meta = each.metadata
            try:
                await self.api.delete(self.resource, meta.namespace, meta.name, uid=meta.uid)
            except (Forbidden, Invalid) as error:
                message = f"{self.resource.plural} {meta.name} of {self.field} cannot be deleted: {error.said}"
                raise ChildRefused(self.refused, message) from None
            self.store.remove(meta.uid)

    def _check_ours(self, actual: Object, connection: MakiniConnection, kind: str) -> None:
        found = plain.record(actual)
        if found.owner_uid != connection.metadata.uid:
            message = (
                f"{self.field} needs {kind} {found.metadata.name}, which exists and belongs to {found.owner}: "
                f"it is left alone; delete it"
            )
            raise ChildRefused(self.refused, message)
