"""Syncs in the plan: runs that somebody asks for, and what status says of how runs ended.

When a sync runs is its CronJob's business, and a failed run is repeated by the next one. So here is nothing but
telling: a result that changes is written at once, one that stays the same once an hour.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from makini_operator.lifecycle.actions import Action, StartSyncs
from makini_operator.lifecycle.observation import Observation, RunKind, SyncRun, Trouble
from makini_operator.lifecycle.requests import handled, sync_request
from makini_operator.lifecycle.steps import refusal
from makini_operator.lifecycle.sync_report import failing, in_words, why_failing
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.reasons import Reason
from makini_operator.resources.sync import SyncFailures
from makini_operator.resources.sync_status import MESSAGE_LIMIT, SyncResult, SyncStatus
from makini_operator.resources.token_status import HandledRequests

WRITE_EVERY = timedelta(hours=1)
"""How often a result that stays the same is written."""


# --- runs that somebody asks for ------------------------------------------------------------------------------------


def start_chores(o: Observation, now: datetime) -> tuple[Action, ...]:
    """Runs that an annotation asks for and that this process has not started; none while syncs are suspended."""
    names = _startable(o)
    if not names or refusal(o, Reason.SYNC_REFUSED, now):
        return ()
    asked = ((sync_request(o, is_full=is_full), is_full) for is_full in (True, False))
    return tuple(
        StartSyncs(names, request, is_full) for request, is_full in asked if request and request not in o.syncs.started
    )


def requests_handled(o: Observation) -> HandledRequests | None:
    """`status.handled` with the requests for which runs were started."""
    changes = {
        field: request
        for field, is_full in (("sync_at", False), ("full_sync_at", True))
        if (request := sync_request(o, is_full=is_full)) and request in o.syncs.started
    }
    return handled(o.connection, **changes) if changes else o.connection.status.handled


def _startable(o: Observation) -> tuple[str, ...]:
    """Syncs that are not suspended and whose CronJobs are as they should be."""
    spec = o.connection.spec
    missing = {item.name for item in o.cron_jobs.to_apply if item.kind is RunKind.SYNC}
    if spec.suspend or RunKind.SYNC in o.cron_jobs.problems:
        return ()
    return tuple(sync.name for sync in spec.syncs or [] if not sync.suspend and sync.name not in missing)


# --- how runs ended -------------------------------------------------------------------------------------------------


def sync_statuses(o: Observation) -> list[SyncStatus] | None:
    """`status.syncs` as it should be now."""
    before = {status.name: status for status in o.connection.status.syncs or []}
    found = [
        _status(before.get(name) or SyncStatus(name=name, cron_job=cron_job), cron_job, o.syncs.last.get(name))
        for name, cron_job in o.syncs.cron_jobs.items()
    ]
    waiting = o.syncs.waiting
    return [each.model_copy(update={"waiting": _bounded(waiting.get(each.name))}) for each in found] or None


def is_worth_asking(before: SyncStatus | None, *, has_succeeded: bool, finished_at: datetime) -> bool:
    """Whether what a run says of itself might be written."""
    if before is None or before.last_finished is None:
        return True
    after = finished_at - datetime.fromisoformat(before.last_finished)
    is_same = has_succeeded and before.last_result is SyncResult.SUCCEEDED
    return after > timedelta(0) and not (is_same and after < WRITE_EVERY)


def sync_failure(connection: MakiniConnection, statuses: list[SyncStatus] | None) -> Trouble | None:
    """What failing syncs mean for the connection, if its spec says that they mean something."""
    policy = connection.spec.health_policy
    failed = failing(MakiniConnectionStatus(syncs=statuses))
    if not failed or policy is None or policy.sync_failures is not SyncFailures.DEGRADE:
        return None
    return Trouble(why_failing(failed), in_words(failed))


def _status(before: SyncStatus, cron_job: str, run: SyncRun | None) -> SyncStatus:
    if run is None or not _is_news(before, run):
        return before.model_copy(update={"cron_job": cron_job})
    finished = timestamp(run.finished_at)
    return SyncStatus(
        name=before.name,
        cron_job=cron_job,
        last_result=SyncResult.SUCCEEDED if run.has_succeeded else SyncResult.FAILED,
        last_finished=finished,
        last_success=finished if run.has_succeeded else before.last_success,
        message=_bounded(run.message),
    )


def _bounded(words: str | None) -> str | None:
    return words[:MESSAGE_LIMIT] if words else None


def _is_news(before: SyncStatus, run: SyncRun) -> bool:
    if not is_worth_asking(before, has_succeeded=run.has_succeeded, finished_at=run.finished_at):
        return False
    is_same = not run.has_succeeded and before.last_result is SyncResult.FAILED and before.message == run.message
    if not is_same or before.last_finished is None:
        return True
    return run.finished_at - datetime.fromisoformat(before.last_finished) >= WRITE_EVERY
