"""Stores on the cluster: PushSecrets of External Secrets Operator, which need not be installed.

They are read, not watched: a watch of a kind that does not exist yet would have to be begun again
when it appears, and only connections with `spec.token.stores` pay for the reads.
"""

from __future__ import annotations

from datetime import UTC, datetime

from makini_operator.controllers.notes import ChildRefused
from makini_operator.controllers.world import World
from makini_operator.kube.api import PUSH_SECRETS, Object
from makini_operator.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound
from makini_operator.lifecycle.observation import SecretState, SecretView, StoresView
from makini_operator.manifests import push_secret
from makini_operator.manifests.ownership import controller_of, onto, own_selector
from makini_operator.manifests.push_secret import PushRecord
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason
from makini_operator.resources.token import TokenStore

_NOTHING = StoresView()


class Stores:
    """The stores of any connection."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def look(self, connection: MakiniConnection, secret: SecretView, *, is_ending: bool) -> StoresView:
        """How they stand; `is_ending`, or a Secret that is not ours: everything has to go."""
        wanted = {} if is_ending or secret.state is SecretState.FOREIGN else _wanted(connection)
        if not wanted and not connection.status.stores:
            return _NOTHING
        meta = connection.metadata
        try:
            found = await self._world.api.list_all(PUSH_SECRETS, meta.namespace, selector=own_selector(connection))
        except NotFound:
            return StoresView(is_served=not wanted)
        except Forbidden as error:
            return StoresView(problem=f"the PushSecrets cannot be read: {error.said}")
        now = datetime.now(UTC)
        by_name = {push_secret.push_name(connection, name): store for name, store in wanted.items()}
        records = [
            push_secret.record(obj, connection, by_name.get(obj["metadata"]["name"]), secret, now) for obj in found
        ]
        return _view(connection, wanted, [r for r in records if r.owner_uid == meta.uid], secret)

    async def apply(self, connection: MakiniConnection, name: str, secret: SecretView) -> None:
        """Create or restore one PushSecret. Raises `ChildRefused`, `Conflict`."""
        namespace = connection.metadata.namespace
        wanted = push_secret.push_secret(connection, _wanted(connection)[name], secret, datetime.now(UTC))
        try:
            actual = await self._get(namespace, wanted["metadata"]["name"])
            if actual is None:
                await self._world.api.create(PUSH_SECRETS, namespace, wanted)
                return
            found = push_secret.record(actual, connection, None, secret, datetime.now(UTC))
            if found.owner_uid != connection.metadata.uid:
                message = (
                    f"store {name} needs PushSecret {found.name}, which exists and belongs to {found.owner}: "
                    f"it is left alone; delete it, or rename the store"
                )
                raise ChildRefused(Reason.STORE_REFUSED, message)
            await self._world.api.replace(PUSH_SECRETS, namespace, onto(actual, wanted))
        except AlreadyExists as error:
            raise Conflict(str(error), status=409) from None
        except (Forbidden, Invalid) as error:
            raise _refused(f"store {name}", error) from None

    async def remove(self, connection: MakiniConnection, name: str) -> None:
        """Delete one PushSecret; External Secrets Operator removes the copy. Raises `ChildRefused`."""
        namespace = connection.metadata.namespace
        try:
            actual = await self._get(namespace, name)
            if actual is not None and controller_of(actual).get("uid") == connection.metadata.uid:
                await self._world.api.delete(PUSH_SECRETS, namespace, name, uid=actual["metadata"]["uid"])
        except (Forbidden, Invalid) as error:
            raise _refused(f"PushSecret {name}", error) from None

    async def _get(self, namespace: str, name: str) -> Object | None:
        try:
            return await self._world.api.get(PUSH_SECRETS, namespace, name)
        except NotFound:
            return None


def _view(
    connection: MakiniConnection, wanted: dict[str, TokenStore], mine: list[PushRecord], secret: SecretView
) -> StoresView:
    by_name = {record.name: record for record in mine}
    to_apply: list[str] = []
    problems: list[str] = []
    for name, store in wanted.items():
        found = by_name.pop(push_secret.push_name(connection, name), None)
        if found is not None and found.is_deleting:
            problems.append(_problem(name, store, "its former PushSecret is still being deleted"))
        elif found is None or not found.is_as_wanted:
            if secret.state is SecretState.INTACT:
                to_apply.append(name)
        elif not found.is_done:
            problems.append(_problem(name, store, found.message))
    to_remove = tuple(sorted(record.name for record in by_name.values() if not record.is_deleting))
    return StoresView(True, tuple(to_apply), to_remove, "; ".join(problems))


def _problem(name: str, store: TokenStore, said: str) -> str:
    ref = store.secret_store_ref
    if not said:
        return f"waiting for External Secrets Operator to copy the token into store {name} ({ref.kind} {ref.name})"
    return (
        f"store {name} does not have the token: External Secrets Operator says: {said}; "
        f"mend {ref.kind} {ref.name}, or take it out of spec.token.stores"
    )


def _wanted(connection: MakiniConnection) -> dict[str, TokenStore]:
    stores = (connection.spec.token.stores if connection.spec.token else None) or []
    return {store.name: store for store in stores}


def _refused(what: str, error: KubeError) -> ChildRefused:
    return ChildRefused(Reason.STORE_REFUSED, f"{what} is refused by Kubernetes: {error.said}")
