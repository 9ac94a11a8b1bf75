"""Plans that do nothing but tell: what is being worked on, what is awaited, what only a person can mend."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from makini_operator.lifecycle.actions import Plan
from makini_operator.lifecycle.observation import Observation, Trouble
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.resources.connection_status import MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import Reason

LOOK_AGAIN = timedelta(seconds=15)
"""How soon to look again at things that send no event: Secrets that are not ours, templates that were refused."""


def held_up(o: Observation, trouble: Trouble, now: datetime) -> Plan:
    """Trouble that ends by itself is waited for; any other is for a person."""
    if trouble.retry_at is None:
        return stuck(o, trouble.reason, trouble.message, now, requeue_after=LOOK_AGAIN)
    after = max(trouble.retry_at - now, timedelta(0))
    return working(o, trouble.reason, trouble.message, now, requeue_after=after)


def _phase(o: Observation, *, stuck: bool) -> Phase:
    if o.connection.status.connection_id and o.connection.status.token:
        return Phase.ACTIVE
    if stuck:
        return Phase.FAILED
    return Phase.CONNECTING if o.connection.status.credits else Phase.WAITING


def working(
    o: Observation, reason: Reason, message: str, now: datetime, *, requeue_after: timedelta | None = None
) -> Plan:
    """Something is awaited or under way."""
    report = Report(_phase(o, stuck=False), Progress.WORKING, reason, message)
    return Plan(status=tell(o.connection, report, now=now, facts={"waiting": None}), requeue_after=requeue_after)


def stuck(
    o: Observation, reason: Reason, message: str, now: datetime, *, requeue_after: timedelta | None = None
) -> Plan:
    """Only a person can help."""
    report = Report(_phase(o, stuck=True), Progress.STUCK, reason, message)
    return Plan(status=tell(o.connection, report, now=now, facts={"waiting": None}), requeue_after=requeue_after)


def connecting(
    o: Observation, message: str, now: datetime, facts: dict[str, Any], *, reason: Reason = Reason.CONNECTING
) -> MakiniConnectionStatus:
    """Credits are held; the rest is under way."""
    return tell(o.connection, Report(Phase.CONNECTING, Progress.WORKING, reason, message), now=now, facts=facts)


def secret_conflict(o: Observation, now: datetime) -> Plan:
    """Somebody else's Secret has the wanted name: it is neither changed nor read."""
    name = o.connection.secret_name
    message = (
        f"Secret {name} exists and belongs to {o.secret.owner}: it is left alone; "
        f"choose another spec.token.secretName, or delete that Secret"
    )
    return stuck(o, Reason.SECRET_CONFLICT, message, now, requeue_after=LOOK_AGAIN)


def marker_lost(o: Observation) -> Trouble:
    """The recorded connection is alive under a name that does not say that it is ours: it is left alone."""
    message = (
        f"connection {o.connection.status.connection_id} was renamed at Makini, and is not touched without its marker: "
        f"give it back the name that it was opened with (it begins with mk1.), or disconnect it there"
    )
    return Trouble(Reason.MARKER_LOST, message)


def refusal(o: Observation, reason: Reason, now: datetime) -> Trouble | None:
    """What the API server has refused a moment ago; it is tried again when the trouble's time has come."""
    trouble = o.refusals.get(reason)
    if trouble is None or trouble.retry_at is None or now >= trouble.retry_at:
        return None
    return Trouble(reason, trouble.message)
