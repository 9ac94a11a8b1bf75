"""Workflows and syncs on the cluster: CronJobs tried out, written, removed, ended with all that they have started."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from makini_operator.controllers.notes import ChildRefused, Note
from makini_operator.controllers.world import World
from makini_operator.kube.api import CRON_JOBS, JOBS, PODS, Object, Resource
from makini_operator.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound
from makini_operator.lifecycle.cron_jobs import REFUSED
from makini_operator.lifecycle.observation import CronJobsView, RunKind, Scheduled
from makini_operator.manifests import cron_job, sync, workflow
from makini_operator.manifests.cron_job import CronJobRecord, TemplateError
from makini_operator.manifests.ownership import digest, onto
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.connection_status import Phase
from makini_operator.resources.reasons import Reason
from makini_operator.resources.sync import Sync
from makini_operator.resources.workflow import Workflow

_logger = logging.getLogger(__name__)

GRACE = 1
"""Seconds that a pod gets at a disconnect: its token is dead, so there is nothing left to finish."""


class CronJobs:
    """The workflows and syncs of any connection."""

    def __init__(self, world: World) -> None:
        self._world = world

    # --- looking ---------------------------------------------------------------------------------------------------

    async def look(self, connection: MakiniConnection, endpoint: str, note: Note, *, is_ending: bool) -> CronJobsView:
        """How they stand; `is_ending`: look for everything that has to go.

        What cannot be made as the spec says stays as it was; but an operator that runs no syncs lets none run.
        """
        if is_ending:
            return CronJobsView({}, True, (), (), is_anything_left=await self._is_anything_left(connection, note))
        wanted, problems = self._wanted(connection, endpoint)
        owned = {found.metadata.name: found for found in self._owned(connection)}
        key = self._world.installation.key
        to_apply = tuple(
            item
            for item, manifest in wanted.items()
            if (found := owned.pop(manifest["metadata"]["name"], None)) is None
            or not cron_job.is_as_wanted(found, manifest, key)
        )
        are_accepted = not to_apply or note.accepted_cron_jobs == _digest(wanted)
        kept = set(problems) - ({RunKind.SYNC} if not self._world.sync_image.reference else set())
        superseded = sorted(Scheduled(found.kind, name) for name, found in owned.items() if found.kind not in kept)
        return CronJobsView(problems, are_accepted, to_apply, tuple(superseded), is_anything_left=False)

    async def _is_anything_left(self, connection: MakiniConnection, note: Note) -> bool:
        """Runs are looked for also when the spec has none (any more): each time if it has, else once.

        When the end was told, all had gone by then, but for what was refused.
        """
        if self._owned(connection):
            return True
        has_ended = _has_ended(connection)
        if note.had_no_runs(connection) or (has_ended and not note.refusals_for(connection)):
            return False
        try:
            if await self._runs(JOBS, connection) or await self._runs(PODS, connection):
                return True
        except Forbidden:
            return True  # ending them says what is forbidden, and does not hold up the disconnect
        if has_ended or not (connection.spec.workflows or connection.spec.syncs):
            note.no_runs(connection)
        return False

    def _owned(self, connection: MakiniConnection) -> list[CronJobRecord]:
        return self._world.children.cron_jobs_of(connection.metadata.uid)

    async def _runs(
        self, resource: Resource, connection: MakiniConnection, cron_jobs: frozenset[str] | None = None
    ) -> list[Object]:
        """Jobs or pods that are not about to go: of the CronJobs with these names, or of all (None)."""
        selector = cron_job.runs_selector(connection)
        found = await self._world.api.list_all(resource, connection.metadata.namespace, selector=selector)
        staying = [(cron_job.started_by(obj, connection), obj) for obj in found if not _is_about_to_go(obj)]
        return [obj for cron, obj in staying if cron is not None and (cron_jobs is None or cron in cron_jobs)]

    def _wanted(
        self, connection: MakiniConnection, endpoint: str
    ) -> tuple[dict[Scheduled, Object], dict[RunKind, str]]:
        """The CronJobs that the spec asks for, and what is wrong with those of a kind that cannot be made."""
        wanted: dict[Scheduled, Object] = {}
        problems: dict[RunKind, str] = {}
        parts: list[Workflow | Sync] = [*(connection.spec.workflows or []), *(connection.spec.syncs or [])]
        for item in parts:
            called = cron_job.scheduled(item)
            try:
                if isinstance(item, Sync):
                    wanted[called] = sync.cron_job(connection, item, endpoint=endpoint, image=self._world.sync_image)
                else:
                    wanted[called] = workflow.cron_job(connection, item, endpoint=endpoint)
            except TemplateError as error:
                where = "jobTemplate: " if called.kind is RunKind.WORKFLOW else ""
                problems.setdefault(called.kind, f"{called}: {where}{error}")
        return {item: manifest for item, manifest in wanted.items() if item.kind not in problems}, problems

    # --- doing -----------------------------------------------------------------------------------------------------

    async def try_out(self, connection: MakiniConnection, endpoint: str, note: Note) -> None:
        """Have the API server look at every CronJob. Raises `ChildRefused`."""
        wanted, _problems = self._wanted(connection, endpoint)
        for item, manifest in wanted.items():
            await self._tried(connection, item, manifest)
        note.accepted_cron_jobs = _digest(wanted)

    async def apply(self, connection: MakiniConnection, endpoint: str, item: Scheduled) -> None:
        """Create or restore one CronJob. Raises `ChildRefused`, `Conflict`."""
        manifest = self._wanted(connection, endpoint)[0][item]
        actual, tried = await self._tried(connection, item, manifest)
        final = cron_job.sealed(manifest, tried, self._world.installation.key)
        namespace = connection.metadata.namespace
        try:
            if actual is None:
                written = await self._world.api.create(CRON_JOBS, namespace, final)
            else:
                written = await self._world.api.replace(CRON_JOBS, namespace, onto(actual, final))
        except AlreadyExists as error:
            raise Conflict(str(error), status=409) from None
        except (Forbidden, Invalid) as error:
            raise _refused(item, error) from None
        self._world.children.take_cron_job(written)

    async def remove(self, connection: MakiniConnection, found: Scheduled) -> None:
        """Delete one CronJob and what it has started. Raises `ChildRefused`."""
        await self._end(connection, frozenset({found.name}), REFUSED[found.kind])

    async def end(self, connection: MakiniConnection) -> None:
        """Delete all CronJobs and whatever any workflow or sync has started. Raises `ChildRefused`."""
        await self._end(connection, None, Reason.WORKFLOW_REFUSED)

    async def _end(self, connection: MakiniConnection, names: frozenset[str] | None, refused: Reason) -> None:
        """Delete pods, then what could start others, then pods that were started meanwhile.

        Pods come first because the garbage collector would give them all the grace that they ask for, and a kubelet
        that has begun to wait does not always listen when it is told to wait less. What is refused spares nothing else.
        """
        met: list[KubeError] = []
        await self._end_runs(PODS, connection, names, met)
        for found in self._owned(connection):
            if names is None or found.metadata.name in names:
                with _noted(met):
                    await self._delete(CRON_JOBS, connection, found.metadata.name, found.metadata.uid)
                    self._world.children.cron_jobs.remove(found.metadata.uid)
        await self._end_runs(JOBS, connection, names, met)
        await self._end_runs(PODS, connection, names, met)
        if met:
            raise ChildRefused(refused, f"what runs for this connection cannot be ended: {met[0].said}")

    async def _end_runs(
        self, resource: Resource, connection: MakiniConnection, names: frozenset[str] | None, met: list[KubeError]
    ) -> None:
        """Delete Jobs or pods; what is refused is put into `met`."""
        with _noted(met):
            for run in await self._runs(resource, connection, names):
                with _noted(met):
                    await self._delete(resource, connection, run["metadata"]["name"], run["metadata"]["uid"])

    async def _delete(self, resource: Resource, connection: MakiniConnection, name: str, uid: str) -> None:
        namespace = connection.metadata.namespace
        grace = GRACE if resource == PODS else None
        await self._world.api.delete(resource, namespace, name, uid=uid, grace=grace)
        _logger.info("%s/%s: ended (%s)", namespace, name, resource.plural)

    async def _tried(
        self, connection: MakiniConnection, item: Scheduled, manifest: Object
    ) -> tuple[Object | None, Object]:
        """The CronJob as it is, if it exists, and as the API server says that it would become."""
        namespace = connection.metadata.namespace
        try:
            actual = await self._world.api.get(CRON_JOBS, namespace, manifest["metadata"]["name"])
        except NotFound:
            actual = None
        if actual is not None and not cron_job.is_ours(cron_job.record(actual), connection):
            raise ChildRefused(REFUSED[item.kind], _foreign(item, cron_job.record(actual)))
        try:
            if actual is None:
                return None, await self._world.api.create(CRON_JOBS, namespace, manifest, dry_run=True)
            proposal = onto(actual, manifest)
            return actual, await self._world.api.replace(CRON_JOBS, namespace, proposal, dry_run=True)
        except AlreadyExists as error:
            raise Conflict(str(error), status=409) from None
        except (Forbidden, Invalid) as error:
            raise _refused(item, error) from None


@contextmanager
def _noted(met: list[KubeError]) -> Iterator[None]:
    """A refusal is put into `met`, so that what comes after it is done all the same."""
    try:
        yield
    except (Forbidden, Invalid) as error:
        met.append(error)


def _is_about_to_go(obj: Object) -> bool:
    """Deleted already, and with no more grace than we give: a longer one can be shortened by deleting again."""
    meta = obj["metadata"]
    return "deletionTimestamp" in meta and int(meta.get("deletionGracePeriodSeconds") or 0) <= GRACE


def _has_ended(connection: MakiniConnection) -> bool:
    """Whether the end of this generation was told already."""
    status = connection.status
    is_told = status.observed_generation == connection.metadata.generation
    return is_told and status.phase in (Phase.DISCONNECTED, Phase.INACTIVE)


def _digest(wanted: dict[Scheduled, Object]) -> str:
    return digest({str(item): manifest for item, manifest in wanted.items()})


def _refused(item: Scheduled, error: KubeError) -> ChildRefused:
    return ChildRefused(REFUSED[item.kind], f"{item} is refused by Kubernetes: {error.said}")


def _foreign(item: Scheduled, found: CronJobRecord) -> str:
    return (
        f"{item} needs CronJob {found.metadata.name}, which exists and belongs to {found.owner}: "
        f"it is left alone; delete it, or rename the {item.kind}"
    )
