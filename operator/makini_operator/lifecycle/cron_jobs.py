"""Workflows and syncs in the plan: tried out before credits are booked, applied once there is a token.

What is refused of one kind keeps nothing of the other kind back.
"""

from __future__ import annotations

from datetime import datetime

from makini_operator.lifecycle.actions import (
    Action,
    ApplyCronJob,
    ApplyEgress,
    DeleteCronJob,
    Plan,
    RemoveEgress,
    TryCronJobs,
)
from makini_operator.lifecycle.observation import Observation, RunKind, Trouble
from makini_operator.lifecycle.steps import held_up, refusal
from makini_operator.resources.reasons import Reason

REFUSED = {RunKind.WORKFLOW: Reason.WORKFLOW_REFUSED, RunKind.SYNC: Reason.SYNC_REFUSED}
"""What it is called when something of this kind cannot be."""


def cron_job_obstacle(o: Observation, now: datetime) -> Plan | None:
    """What keeps a connection from asking for credits: a workflow or sync that Kubernetes would not take."""
    trouble = cron_job_trouble(o, now)
    if trouble:
        return held_up(o, trouble, now)
    return None if o.cron_jobs.are_accepted else Plan(actions=(TryCronJobs(),))


def cron_job_trouble(o: Observation, now: datetime) -> Trouble | None:
    """What only a person can mend about a workflow or a sync."""
    found = (_trouble(o, kind, now) for kind in RunKind)
    return next((trouble for trouble in found if trouble), None)


def cron_job_chores(o: Observation, now: datetime) -> tuple[Action, ...]:
    """What is missing or too much among the CronJobs, but for what is in trouble.

    No sync begins before it is settled where syncs may go.
    """
    well = {kind for kind in RunKind if not _trouble(o, kind, now)}
    egress = _egress_chores(o, well)
    surplus = (found for found in o.cron_jobs.superseded if not refusal(o, REFUSED[found.kind], now))
    superseded = tuple(DeleteCronJob(found) for found in surplus)
    ready = well - {RunKind.SYNC} if egress else well
    return (*egress, *superseded, *(ApplyCronJob(item) for item in o.cron_jobs.to_apply if item.kind in ready))


def _egress_chores(o: Observation, well: set[RunKind]) -> tuple[Action, ...]:
    if o.egress.is_as_wanted or RunKind.SYNC not in well:
        return ()
    is_wanted = bool(o.connection.spec.syncs) and o.connection.spec.sync_egress is not None
    return (ApplyEgress(),) if is_wanted else (RemoveEgress(),)


def _trouble(o: Observation, kind: RunKind, now: datetime) -> Trouble | None:
    problem = o.cron_jobs.problems.get(kind)
    return Trouble(REFUSED[kind], problem) if problem else refusal(o, REFUSED[kind], now)
