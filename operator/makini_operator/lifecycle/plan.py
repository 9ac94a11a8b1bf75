"""What to do next for one connection.

Up: finalizer → credits and intent (one status write) → one POST → id recorded → metadata →
token in the Secret → workflows and syncs → status. Down: `down.py`. Each call looks at the whole
situation anew, so it does not matter where an earlier process stopped: every external
effect is preceded by a durable record of the intent, and every record can be continued.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from makini_operator.lifecycle.actions import AddFinalizer, Plan
from makini_operator.lifecycle.booking import towards_credits
from makini_operator.lifecycle.down import finish_closing, plan_down
from makini_operator.lifecycle.ended import stay_inactive, was_ended_remotely
from makini_operator.lifecycle.observation import Observation
from makini_operator.lifecycle.opening import towards_connection
from makini_operator.lifecycle.prices import with_price_shown
from makini_operator.lifecycle.revoking import revocation
from makini_operator.lifecycle.running import keep_running
from makini_operator.lifecycle.steps import held_up, working
from makini_operator.resources.connection import CONNECTION_FINALIZER
from makini_operator.resources.reasons import Reason


def plan(o: Observation, now: datetime) -> Plan:
    """The next steps for one connection."""
    return with_price_shown(_adopting(_next_steps(o, now), o), o)


def _adopting(decided: Plan, o: Observation) -> Plan:
    """What was found again in a restore carries another uid's tag, which is kept for as long as the connection is."""
    status = decided.status
    if o.adoptable is None or status is None or status.connection_id is None:
        return decided
    return replace(decided, status=status.model_copy(update={"adopted": o.adoptable}))


def _next_steps(o: Observation, now: datetime) -> Plan:
    if o.installation_trouble:
        return held_up(o, o.installation_trouble, now)
    if o.connection.metadata.is_deleting or not o.connection.spec.connected:
        return plan_down(o, now)
    if o.connection.status.is_closing:
        return finish_closing(o, now)
    if CONNECTION_FINALIZER not in o.connection.metadata.finalizers:
        return Plan(actions=(AddFinalizer(),))
    if was_ended_remotely(o):
        return stay_inactive(o, now)
    if o.pool is None:
        return _no_pool(o, now)
    if o.connection.status.credits is None:
        return towards_credits(o, o.pool, now)
    if o.connection.status.connection_id is None:
        return towards_connection(o, o.pool, o.connection.status.credits, now)
    revoked = revocation(o, now)
    return revoked or keep_running(o, o.pool, o.connection.status.connection_id, now)


def _no_pool(o: Observation, now: datetime) -> Plan:
    name = o.connection.spec.pool_ref.name
    message = f"waiting for CreditPool {name}, which does not exist: create it, or mend spec.poolRef.name"
    return working(o, Reason.POOL_NOT_FOUND, message, now)
