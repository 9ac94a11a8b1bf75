"""The way to credits: nothing is booked for what cannot work, then the connection stands in the queue."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from makini_operator.credits.ledger import Obstacle
from makini_operator.credits.price import NotOffered, Price, price
from makini_operator.credits.queue import Notice
from makini_operator.lifecycle.actions import ListAccount, Plan, RequestCredits
from makini_operator.lifecycle.cron_jobs import cron_job_obstacle
from makini_operator.lifecycle.observation import Observation, PoolView, SecretState
from makini_operator.lifecycle.opening import next_intent
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.lifecycle.steps import LOOK_AGAIN, connecting, held_up, secret_conflict, stuck, working
from makini_operator.lifecycle.words import credits_in_words
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection import Environment
from makini_operator.resources.connection_status import Claim, MakiniConnectionStatus, Phase, Waiting
from makini_operator.resources.reasons import Reason


def towards_credits(o: Observation, pool: PoolView, now: datetime) -> Plan:
    """The next steps of a connection that holds no credits."""
    spec = o.connection.spec
    cost = price(spec.system, spec.environment, pool.pricing)
    if isinstance(cost, NotOffered):
        return stuck(o, cost.reason, cost.remedy, now)
    if o.trouble and o.trouble.retry_at is None:
        return held_up(o, o.trouble, now)
    obstacle = _obstacle(o, pool, cost, now)
    if obstacle:
        return obstacle
    if o.grant:
        return _claim(o, pool, o.grant.amount, now)
    request = RequestCredits(cost.amount, cost.tier)
    if pool.hold or pool.notice is not None:
        return Plan(actions=(request,), status=_waiting(o, pool, cost, now))
    return Plan(actions=(request,))


def _obstacle(o: Observation, pool: PoolView, cost: Price, now: datetime) -> Plan | None:
    """What keeps this connection from asking for credits: they are not booked for what cannot work."""
    if not pool.is_open:
        return _not_allowed(o, pool, now)
    if o.connection.spec.environment is Environment.SANDBOX and not pool.has_sandbox:
        return _no_sandbox(o, pool, now)
    if cost.amount > pool.limit:
        return _exceeds(o, pool, cost, now)
    if pool.namespace_limit is not None and cost.amount > pool.namespace_limit:
        return _exceeds_namespace(o, pool, pool.namespace_limit, cost, now)
    if o.secret.state is SecretState.FOREIGN:
        return secret_conflict(o, now)
    if o.is_login_present is False:
        return _no_login(o, now)
    return cron_job_obstacle(o, now) or _pool_obstacle(o, pool, now)


def _pool_obstacle(o: Observation, pool: PoolView, now: datetime) -> Plan | None:
    if pool.is_deleting:
        message = f"pool {pool.name} is being deleted and grants nothing new: name another pool in spec.poolRef"
        return working(o, Reason.POOL_DELETING, message, now)
    if pool.trouble:
        message = f"pool {pool.name} cannot grant credits now: {pool.trouble.message}"
        return working(o, Reason.POOL_NOT_READY, message, now)
    if not pool.is_led:
        return Plan()
    return None if o.remote.is_complete else Plan(actions=(ListAccount(),))


def _not_allowed(o: Observation, pool: PoolView, now: datetime) -> Plan:
    message = (
        f"namespace {o.connection.metadata.namespace} may not use pool {pool.name}: its labels are not those that the "
        f"pool's spec.access.namespaceSelector asks for; ask the platform admin to label it, or name another pool"
    )
    return stuck(o, Reason.NAMESPACE_NOT_ALLOWED, message, now)


def _no_sandbox(o: Observation, pool: PoolView, now: datetime) -> Plan:
    message = (
        f"pool {pool.name} has no sandbox account: use environment Test or Production, or ask for spec.account.sandbox"
    )
    return stuck(o, Reason.NO_SANDBOX_ACCOUNT, message, now)


def _exceeds(o: Observation, pool: PoolView, cost: Price, now: datetime) -> Plan:
    message = (
        f"needs {credits_in_words(cost.amount)}, but pool {pool.name} has {pool.limit} in all: "
        f"raise the pool's spec.credits, or name another pool in spec.poolRef"
    )
    return stuck(o, Reason.EXCEEDS_POOL, message, now)


def _no_login(o: Observation, now: datetime) -> Plan:
    name = o.connection.spec.authorization.credentials.secret_ref.name
    message = (
        f"waiting for Secret {name} in namespace {o.connection.metadata.namespace}, which must hold the customer's "
        f"login: create it, or mend spec.authorization.credentials.secretRef"
    )
    return working(o, Reason.LOGIN_SECRET_NOT_FOUND, message, now, requeue_after=LOOK_AGAIN)


def _exceeds_namespace(o: Observation, pool: PoolView, limit: int, cost: Price, now: datetime) -> Plan:
    message = (
        f"needs {credits_in_words(cost.amount)}, but pool {pool.name} gives at most {limit} to one namespace: "
        f"raise the pool's spec.access.maxCreditsPerNamespace, or name another pool in spec.poolRef"
    )
    return stuck(o, Reason.EXCEEDS_NAMESPACE_LIMIT, message, now)


def _waiting(o: Observation, pool: PoolView, cost: Price, now: datetime) -> MakiniConnectionStatus:
    notice = pool.notice or Notice(position=0, available=0, obstacle=Obstacle.NOTHING)
    reason, why = _why(o, pool, notice)
    place = f", number {notice.position} in the queue" if notice.position else ""
    message = f"needs {credits_in_words(cost.amount)}, {notice.available} available in pool {pool.name}{place}: {why}"
    waiting = Waiting(
        need=cost.amount, available=notice.available, position=notice.position or None, reason=reason.value
    )
    report = Report(Phase.WAITING, Progress.WORKING, reason, message)
    return tell(o.connection, report, now=now, facts={"waiting": waiting})


def _why(o: Observation, pool: PoolView, notice: Notice) -> tuple[Reason, str]:
    if pool.hold:
        return Reason.POOL_ON_HOLD, "the pool is on hold and grants nothing new until its spec.hold is false"
    if notice.obstacle is Obstacle.NAMESPACE:
        namespace = o.connection.metadata.namespace
        why = f"namespace {namespace} holds as much as it may ({pool.namespace_limit}); it is served when some return"
        return Reason.NAMESPACE_LIMIT_REACHED, why
    if notice.obstacle is Obstacle.LINE:
        return Reason.WAITING_IN_LINE, "it would fit, but this pool serves strictly in order (StrictFIFO)"
    return Reason.WAITING_FOR_CREDITS, "it is connected as soon as enough return or the pool grows"


def _claim(o: Observation, pool: PoolView, amount: int, now: datetime) -> Plan:
    """Take the granted credits; unless Makini already has this connection, record the intent in the same write."""
    assert o.grant is not None  # noqa: S101 - narrows the type; the caller has looked
    claim = Claim(pool=pool.name, pool_uid=pool.uid, amount=amount, tier=o.grant.tier, granted_at=timestamp(now))
    facts: dict[str, Any] = {"credits": claim, "waiting": None}
    facts |= {"connection_id": o.remote.ids[0], "connected_at": timestamp(now)} if o.remote.ids else next_intent(o, now)
    return Plan(status=connecting(o, "credits are held; the connection is being opened at Makini", now, facts))
