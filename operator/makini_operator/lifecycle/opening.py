"""The way to a connection at Makini: a recorded intent, exactly one POST, the id recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from makini_operator.lifecycle.actions import Close, ListAccount, Open, Plan
from makini_operator.lifecycle.observation import Observation, PoolView, Trouble
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.lifecycle.steps import LOOK_AGAIN, connecting, held_up
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection_status import Claim, Intent, Phase
from makini_operator.resources.reasons import Reason


def towards_connection(o: Observation, pool: PoolView, claim: Claim, now: datetime) -> Plan:
    """The next steps of a connection that holds credits and is not known to be open."""
    if o.trouble and o.trouble.retry_at is None:
        return _refused(o, o.trouble, now)
    if o.trouble and o.trouble.retry_at and now < o.trouble.retry_at:
        return held_up(o, o.trouble, now)
    if pool.trouble:
        return held_up(o, pool.trouble, now)
    if not pool.is_led:
        return Plan()
    if o.may_post:
        return Plan(actions=(Open(claim.amount),))
    if not o.remote.is_complete:
        return Plan(actions=(ListAccount(),))
    if o.remote.ids:
        facts = {"connection_id": o.remote.ids[0], "connected_at": timestamp(now), "intent": None}
        return Plan(status=connecting(o, "the connection is open; its token is being published", now, facts))
    message = o.trouble.message if o.trouble else "credits are held; the connection is being opened at Makini"
    reason = o.trouble.reason if o.trouble else Reason.CONNECTING
    return Plan(status=connecting(o, message, now, next_intent(o, now), reason=reason))


def _refused(o: Observation, trouble: Trouble, now: datetime) -> Plan:
    """Makini will not open this as it is: nothing was opened, so the credits go back and the spec can be mended."""
    if not o.remote.is_complete:
        return Plan(actions=(ListAccount(),))
    if o.remote.ids:
        return Plan(actions=(Close(o.remote.ids),))
    report = Report(Phase.FAILED, Progress.STUCK, trouble.reason, trouble.message)
    facts = {"credits": None, "intent": None, "waiting": None}
    return Plan(status=tell(o.connection, report, now=now, facts=facts), requeue_after=LOOK_AGAIN)


def next_intent(o: Observation, now: datetime) -> dict[str, Any]:
    """The fields that announce one more attempt to open."""
    attempt = o.connection.status.intent.attempt + 1 if o.connection.status.intent else 1
    return {"intent": Intent(incarnation=o.incarnation, attempt=attempt, at=timestamp(now))}
