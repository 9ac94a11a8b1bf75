"""Runs of syncs: how the last ones ended, and those that somebody asks for."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from makini_operator.controllers.notes import ChildRefused, Note
from makini_operator.controllers.world import World
from makini_operator.kube.api import CRON_JOBS, JOBS, PODS, Object
from makini_operator.kube.errors import AlreadyExists, Forbidden, Invalid, NotFound
from makini_operator.lifecycle.observation import SyncRun, SyncsView
from makini_operator.lifecycle.syncs import is_worth_asking
from makini_operator.manifests import sync, sync_run
from makini_operator.manifests.sync_run import RunRecord
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason

_logger = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(minutes=1)
"""How soon to look again at a run that does not begin."""


class SyncRuns:
    """The runs of any connection's syncs."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def look(self, connection: MakiniConnection, note: Note) -> SyncsView:
        """How they stand, from what is watched; the pod of a run is asked once. Raises `KubeError`."""
        names = {item.name: sync.sync_name(connection, item.name) for item in connection.spec.syncs or []}
        if not names:
            return SyncsView()
        found = {cron.metadata.name: cron for cron in self._world.children.cron_jobs_of(connection.metadata.uid)}
        last, waiting, again = {}, {}, []
        for name, cron_job in names.items():
            runs = self._world.children.sync_runs_of(found[cron_job].metadata.uid) if cron_job in found else []
            ended = max((run for run in runs if run.finished_at), key=_by_end, default=None)
            if ended is not None:
                last[name] = await self._told(connection, name, ended, note)
            idle = min((run for run in runs if _has_not_begun(run)), key=_by_due, default=None)
            patience = self._world.sync_begin_within
            if idle is not None and idle.due_at + patience <= datetime.now(UTC):
                waiting[name] = sync_run.awaited(await self._pods(connection, idle))
            if idle is not None:
                again.append(max(idle.due_at + patience, datetime.now(UTC) + LOOK_AGAIN))
        note.forget_runs(names)
        started = tuple(note.started_syncs)
        return SyncsView(names, last, waiting, look_again_at=min(again, default=None), started=started)

    async def start(self, connection: MakiniConnection, names: tuple[str, ...], request: str, *, is_full: bool) -> None:
        """Make a Job for each of these syncs, unless this request has one already. Raises `ChildRefused`."""
        namespace = connection.metadata.namespace
        for name in names:
            try:
                stored = await self._world.api.get(CRON_JOBS, namespace, sync.sync_name(connection, name))
                await self._world.api.create(JOBS, namespace, sync.run_now(stored, request, is_full=is_full))
                _logger.info("%s/%s: sync %s started as asked", namespace, connection.metadata.name, name)
            except (AlreadyExists, NotFound):
                continue
            except (Forbidden, Invalid) as error:
                message = f"sync {name} cannot be started now: {error.said}"
                raise ChildRefused(Reason.SYNC_REFUSED, message) from None

    async def _pods(self, connection: MakiniConnection, run: RunRecord) -> list[Object]:
        """Its pods; none if the operator may not look: that holds up nothing else."""
        selector = sync_run.pods_selector(run)
        try:
            return await self._world.api.list_all(PODS, connection.metadata.namespace, selector=selector)
        except Forbidden as error:
            _logger.warning("%s/%s: %s", connection.metadata.namespace, connection.metadata.name, error.said)
            return []

    async def _told(self, connection: MakiniConnection, name: str, run: RunRecord, note: Note) -> SyncRun:
        assert run.finished_at  # noqa: S101 - only runs that have ended are looked at
        before = next((status for status in connection.status.syncs or [] if status.name == name), None)
        words = note.run_said(name, run.metadata.uid)
        if words is None and is_worth_asking(before, has_succeeded=run.has_succeeded, finished_at=run.finished_at):
            words = sync_run.last_words(await self._pods(connection, run), run)
            note.run_heard(name, run.metadata.uid, words)
        return SyncRun(run.has_succeeded, run.finished_at, words or "")


def _has_not_begun(run: RunRecord) -> bool:
    return run.finished_at is None and not run.is_at_work


def _by_end(run: RunRecord) -> tuple[datetime, str]:
    return run.finished_at or run.due_at, run.metadata.name


def _by_due(run: RunRecord) -> datetime:
    return run.due_at
