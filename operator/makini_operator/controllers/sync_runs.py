"""Runs of syncs: how the last ones ended, and those that somebody asks for."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from makini_operator.controllers.notes import ChildRefused, Note
from makini_operator.controllers.world import World
from makini_operator.kube.api import CRON_JOBS, JOBS, PODS, Object
from makini_operator.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from makini_operator.lifecycle.requests import is_still_asked
from makini_operator.lifecycle.sync_view import AskedRun, SyncRun, SyncsView
from makini_operator.lifecycle.syncs import is_worth_asking
from makini_operator.manifests import sync, sync_run
from makini_operator.manifests.sync_run import RunRecord
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason
from makini_operator.resources.sync_status import SyncStatus

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
        last: dict[str, SyncRun] = {}
        waiting: dict[str, str] = {}
        again, busy = [], set()
        for name, cron_job in names.items():
            before = next((status for status in connection.status.syncs or [] if status.name == name), None)
            runs = self._world.children.sync_runs_of(found[cron_job].metadata.uid) if cron_job in found else []
            ended = max((run for run in runs if run.finished_at), key=_by_end, default=None)
            if ended is not None:
                last[name] = await self._told(connection, before, name, ended, note)
            if any(run.finished_at is None for run in runs):
                busy.add(name)
            idle = min((run for run in runs if _has_not_begun(run)), key=_by_due, default=None)
            if idle is None:
                continue
            overdue = datetime.now(UTC) - self._world.sync_begin_within
            if idle.due_at <= overdue:
                words = sync_run.awaited(await self._pods(connection, idle), idle, since=overdue)
                waiting |= {name: words} if words else {}
            again.append(max(idle.due_at + self._world.sync_begin_within, datetime.now(UTC) + LOOK_AGAIN))
        note.forget_runs(names)
        note.started_syncs = {run for run in note.started_syncs if is_still_asked(connection, run)}
        return SyncsView(
            cron_jobs=names,
            last=last,
            waiting=waiting,
            look_again_at=min(again, default=None),
            busy=frozenset(busy),
            started=frozenset(note.started_syncs),
        )

    async def start(self, connection: MakiniConnection, run: AskedRun) -> None:
        """Make a Job for this run, unless there is one already. Raises `ChildRefused`, `Conflict`."""
        namespace, name = connection.metadata.namespace, sync.sync_name(connection, run.sync)
        try:
            stored = await self._world.api.get(CRON_JOBS, namespace, name)
            written = await self._world.api.create(JOBS, namespace, sync.run_now(stored, run))
        except AlreadyExists:
            return
        except NotFound as error:  # the CronJob was deleted a moment ago: it is made again first
            raise Conflict(str(error)) from None
        except (Forbidden, Invalid) as error:
            message = f"sync {run.sync} cannot be started now: {error.said}"
            raise ChildRefused(Reason.SYNC_REFUSED, message) from None
        self._world.children.take_sync_run(written)
        _logger.info("%s/%s: sync %s started as asked", namespace, connection.metadata.name, run.sync)

    async def _pods(self, connection: MakiniConnection, run: RunRecord) -> list[Object]:
        """Its pods; none if the operator may not look: that holds up nothing else."""
        selector = sync_run.pods_selector(run)
        try:
            return await self._world.api.list_all(PODS, connection.metadata.namespace, selector=selector)
        except Forbidden as error:
            _logger.warning("%s/%s: %s", connection.metadata.namespace, connection.metadata.name, error.said)
            return []

    async def _told(
        self, connection: MakiniConnection, before: SyncStatus | None, name: str, run: RunRecord, note: Note
    ) -> SyncRun:
        assert run.finished_at  # noqa: S101 - only runs that have ended are looked at
        words = note.run_said(name, run.metadata.uid)
        if words is None and is_worth_asking(before, has_succeeded=run.has_succeeded, finished_at=run.finished_at):
            words = sync_run.last_words(
                await self._pods(connection, run), run, awaited=before.waiting if before else None
            )
            note.run_heard(name, run.metadata.uid, words)
        return SyncRun(run.has_succeeded, run.finished_at, words or "")


def _has_not_begun(run: RunRecord) -> bool:
    return run.finished_at is None and not run.is_at_work


def _by_end(run: RunRecord) -> tuple[datetime, str]:
    return run.finished_at or run.due_at, run.metadata.name


def _by_due(run: RunRecord) -> datetime:
    return run.due_at
