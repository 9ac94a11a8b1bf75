"""Workloads on the cluster: looked at while a rotation is under way, and restarted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from makini_operator.controllers.notes import ChildRefused
from makini_operator.controllers.world import World
from makini_operator.kube.api import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS
from makini_operator.kube.errors import Forbidden, Invalid, NotFound
from makini_operator.lifecycle.observation import SecretView, WorkloadState, WorkloadView
from makini_operator.lifecycle.rotation import progress_of, targets
from makini_operator.manifests import workload
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason
from makini_operator.resources.token import RestartTarget, TargetKind

_RESOURCES = {
    TargetKind.DEPLOYMENT: DEPLOYMENTS,
    TargetKind.STATEFUL_SET: STATEFUL_SETS,
    TargetKind.DAEMON_SET: DAEMON_SETS,
}


class Rollouts:
    """The workloads that any connection restarts."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def look(self, connection: MakiniConnection, secret: SecretView) -> Mapping[RestartTarget, WorkloadView]:
        """How the restarts of the rotation under way stand, up to the first that is not done; else nothing is read."""
        progress = progress_of(connection)
        seen: dict[RestartTarget, WorkloadView] = {}
        if progress is None or secret.attempt < progress.attempt:
            return seen
        for target in targets(connection):
            seen[target] = await self._look_at(connection, target)
            if seen[target].state is not WorkloadState.DONE:
                break
        return seen

    async def _look_at(self, connection: MakiniConnection, target: RestartTarget) -> WorkloadView:
        try:
            found = await self._world.api.get(_RESOURCES[target.kind], connection.metadata.namespace, target.name)
        except NotFound:
            found = None
        except Forbidden as error:
            return WorkloadView(WorkloadState.STUCK, f"it cannot be read: {error.said}")
        return workload.view(target.kind, found, connection, datetime.now(UTC))

    async def restart(self, connection: MakiniConnection, kind: TargetKind, name: str, attempt: int) -> None:
        """Let it start new pods, on exactly the version that is there now. Raises `ChildRefused`, `Conflict`."""
        resource, namespace = _RESOURCES[kind], connection.metadata.namespace
        found = await self._world.api.get(resource, namespace, name)
        meta = found["metadata"]
        changes = workload.restart_patch(connection, attempt, datetime.now(UTC))
        try:
            await self._world.api.patch(
                resource, namespace, name, changes, uid=meta["uid"], version=meta["resourceVersion"]
            )
        except (Forbidden, Invalid) as error:
            message = (
                f"the token was rotated, but Kubernetes does not let the operator restart {kind} {name}: {error.said}"
            )
            raise ChildRefused(Reason.ROLLOUT_STUCK, message) from None
