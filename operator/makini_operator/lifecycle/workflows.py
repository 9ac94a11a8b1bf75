"""Workflows in the plan: tried out before credits are booked, applied once there is a token."""

from __future__ import annotations

from datetime import datetime

from makini_operator.lifecycle.actions import Action, ApplyWorkflow, DeleteCronJob, Plan, TryWorkflows
from makini_operator.lifecycle.observation import Observation, Trouble
from makini_operator.lifecycle.steps import held_up, refusal
from makini_operator.resources.reasons import Reason


def workflow_obstacle(o: Observation, now: datetime) -> Plan | None:
    """What keeps a connection with workflows from asking for credits: a template that Kubernetes would not take."""
    trouble = workflow_trouble(o, now)
    if trouble:
        return held_up(o, trouble, now)
    return None if o.workflows.are_accepted else Plan(actions=(TryWorkflows(),))


def workflow_trouble(o: Observation, now: datetime) -> Trouble | None:
    """What only a person can mend about a workflow."""
    if o.workflows.problem:
        return Trouble(Reason.WORKFLOW_REFUSED, o.workflows.problem)
    return refusal(o, Reason.WORKFLOW_REFUSED, now)


def workflow_chores(o: Observation) -> tuple[Action, ...]:
    """What is missing or too much among the CronJobs."""
    superseded = tuple(DeleteCronJob(name) for name in o.workflows.superseded)
    return (*superseded, *(ApplyWorkflow(name) for name in o.workflows.to_apply))
