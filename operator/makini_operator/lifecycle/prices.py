"""Prices that have changed since a connection was granted its credits: it keeps what it holds, and says so."""

from __future__ import annotations

from dataclasses import replace

from makini_operator.credits.price import NotOffered, price
from makini_operator.lifecycle.actions import Plan
from makini_operator.lifecycle.observation import Observation
from makini_operator.lifecycle.words import credits_in_words
from makini_operator.resources.conditions import Condition
from makini_operator.resources.connection_status import Claim
from makini_operator.resources.reasons import ConditionType


def with_price_shown(decided: Plan, o: Observation) -> Plan:
    """The same plan; where the pool's price now differs from the claim, `CreditsHeld` says it."""
    status = decided.status
    if status is None or status.credits is None or o.pool is None or status.conditions is None:
        return decided
    now = _difference(o, status.credits, o.pool.name)
    if not now:
        return decided
    conditions = [_noted(condition, now) for condition in status.conditions]
    return replace(decided, status=status.model_copy(update={"conditions": conditions}))


def _difference(o: Observation, claim: Claim, pool: str) -> str:
    assert o.pool is not None  # noqa: S101 - narrows the type; the caller has looked
    if claim.pool != pool:
        return ""
    spec = o.connection.spec
    current = price(spec.system, spec.environment, o.pool.pricing)
    if isinstance(current, NotOffered):
        return "the pool does not offer this system any more, and what was granted stays"
    if current.amount == claim.amount:
        return ""
    return f"its price is now {credits_in_words(current.amount)}, and what was granted stays until it is disconnected"


def _noted(condition: Condition, note: str) -> Condition:
    if condition.type != ConditionType.CREDITS_HELD:
        return condition
    return condition.model_copy(update={"message": f"{condition.message}; {note}"})
