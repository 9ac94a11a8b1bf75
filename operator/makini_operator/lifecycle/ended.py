"""A connection that somebody else has ended in Makini's dashboard: never undone by us, because that costs money."""

from __future__ import annotations

from datetime import datetime

from makini_operator.lifecycle.actions import Close, Plan
from makini_operator.lifecycle.down import children_to_remove, closed_facts, is_anything_left
from makini_operator.lifecycle.observation import Observation
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.lifecycle.steps import LOOK_AGAIN
from makini_operator.resources.conditions import find
from makini_operator.resources.connection_status import MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import ConditionType, Reason


def ended_remotely(o: Observation, connection_id: str, now: datetime) -> Plan:
    """The recorded connection is gone: its children go, too, then its credits return."""
    children = children_to_remove(o, now)
    if children:
        return Plan(actions=children)
    if o.remote.ids:
        return _close_duplicates(o, None, now)
    facts = closed_facts(o, Reason.DISCONNECTED_REMOTELY, now)
    return Plan(status=tell(o.connection, _inactive(connection_id), now=now, facts=facts))


def stay_inactive(o: Observation, now: datetime) -> Plan:
    """Nothing is opened until somebody asks for it."""
    history = o.connection.status.history or []
    ended = history[0].connection_id if history else None
    status = tell(o.connection, _inactive(ended or "unknown"), now=now)
    children = children_to_remove(o, now)
    if children:
        return Plan(actions=children, status=status)
    if o.remote.ids:
        return _close_duplicates(o, status, now)
    return Plan(status=status, requeue_after=LOOK_AGAIN if is_anything_left(o, now) else None)


def was_ended_remotely(o: Observation) -> bool:
    """Whether somebody else has ended the last connection of this resource."""
    status = o.connection.status
    connected = find(status.conditions or [], ConditionType.CONNECTED)
    is_marked = connected is not None and connected.reason == Reason.DISCONNECTED_REMOTELY
    return is_marked and status.credits is None and status.connection_id is None


def _close_duplicates(o: Observation, status: MakiniConnectionStatus | None, now: datetime) -> Plan:
    """A duplicate of what somebody ended goes, too: credits return only when nothing of it is left."""
    retry_at = o.trouble.retry_at if o.trouble else None
    if retry_at and now < retry_at:
        return Plan(status=status, requeue_after=retry_at - now)
    return Plan(actions=(Close(o.remote.ids),), status=status)


def _inactive(connection_id: str) -> Report:
    message = (
        f"connection {connection_id} was disconnected at Makini by somebody else; it is not opened again by itself: "
        f"set spec.connected to false, wait for phase Disconnected, and set it to true to open a new one"
    )
    return Report(Phase.INACTIVE, Progress.STUCK, Reason.DISCONNECTED_REMOTELY, message)
