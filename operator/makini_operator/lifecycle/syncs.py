"""Syncs in the plan: runs that somebody asks for, and what status says of how runs ended.

When a sync runs is its CronJob's business, and a failed run is repeated by the next one. So here is nothing but
telling: a result that changes is written at once, one that stays the same once an hour.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from makini_operator.lifecycle.actions import Action, StartSync
from makini_operator.lifecycle.observation import Observation, RunKind, Trouble
from makini_operator.lifecycle.requests import SYNC_FIELDS, handled, sync_request
from makini_operator.lifecycle.steps import refusal
from makini_operator.lifecycle.sync_report import failing, in_words, why_failing
from makini_operator.lifecycle.sync_view import AskedRun, SyncAsk, SyncRun
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
    """Runs that an annotation asks for and that this process has not started; none while syncs are suspended.

    One after another: a sync of which a run has not ended gets no other, so that nobody can pile them up. The request
    stays open meanwhile, and a newer one takes its place.
    """
    if refusal(o, Reason.SYNC_REFUSED, now):
        return ()
    idle = [name for name in _startable(o) if name not in o.syncs.busy]
    due = (next((run for run in _asked(o, name) if run not in o.syncs.started), None) for name in idle)
    return tuple(StartSync(run) for run in due if run)


def requests_handled(o: Observation) -> HandledRequests | None:
    """`status.handled` with the requests for which a run of every sync was started."""
    names = _startable(o)
    changes = {
        SYNC_FIELDS[ask]: request
        for ask in SyncAsk
        if names
        and (request := sync_request(o, ask))
        and all(AskedRun(name, ask, request) in o.syncs.started for name in names)
    }
    return handled(o.connection, **changes) if changes else o.connection.status.handled


def _asked(o: Observation, name: str) -> list[AskedRun]:
    """What is asked of a sync, the most thorough first."""
    asks = (SyncAsk.ACCEPT_GONE, SyncAsk.FULL, SyncAsk.NOW)
    return [AskedRun(name, ask, request) for ask in asks if (request := sync_request(o, ask))]


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
    return [each.model_copy(update={"waiting": _waiting(each, o)}) for each in found] or None


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


def _waiting(before: SyncStatus, o: Observation) -> str | None:
    """What its run waits for; the same in other words is no news."""
    words = _bounded(o.syncs.waiting.get(before.name))
    return before.waiting if words and before.waiting and _kind(words) == _kind(before.waiting) else words


def _kind(words: str) -> str:
    """The reason before the colon. A kubelet goes back and forth between trying to pull and pausing."""
    reason = words.partition(":")[0]
    return "ImagePullBackOff" if reason == "ErrImagePull" else reason


def _bounded(words: str | None) -> str | None:
    return words[:MESSAGE_LIMIT] if words else None


def _is_news(before: SyncStatus, run: SyncRun) -> bool:
    if not is_worth_asking(before, has_succeeded=run.has_succeeded, finished_at=run.finished_at):
        return False
    is_same = not run.has_succeeded and before.last_result is SyncResult.FAILED and before.message == run.message
    if not is_same or before.last_finished is None:
        return True
    return run.finished_at - datetime.fromisoformat(before.last_finished) >= WRITE_EVERY
