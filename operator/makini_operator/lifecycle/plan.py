"""What to do next for one connection.

Up: finalizer → credits and intent (one status write) → one POST → id recorded → metadata →
token in the Secret → status. Down: `lifecycle/down.py`. Each call looks at the whole
situation anew, so it does not matter where an earlier process stopped: every external
effect is preceded by a durable record of the intent, and every record can be continued.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from makini_operator.credits.price import NotOffered, Price, price
from makini_operator.lifecycle.actions import (
    Action,
    AddFinalizer,
    Close,
    DeleteSecret,
    ListAccount,
    Open,
    Plan,
    PublishToken,
    RepairSecret,
    RequestCredits,
    SendMetadata,
)
from makini_operator.lifecycle.down import closed_facts, plan_down
from makini_operator.lifecycle.observation import Observation, PoolView, SecretState, Trouble
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.resources.conditions import find, timestamp
from makini_operator.resources.connection import (
    CONNECTION_FINALIZER,
    Claim,
    Environment,
    Intent,
    MakiniConnectionStatus,
    Phase,
    TokenStatus,
    Waiting,
)
from makini_operator.resources.reasons import ConditionType, Reason

LOOK_AGAIN = timedelta(seconds=15)
"""How soon to look again at things that send no event: Secrets that are not ours."""
ROTATE_AFTER = 2 / 3
"""Share of a token's life after which it is renewed."""


def plan(o: Observation, now: datetime) -> Plan:
    """The next steps for one connection."""
    if o.installation_trouble:
        return _held_up(o, o.installation_trouble, now)
    if o.connection.metadata.is_deleting or not o.connection.spec.connected:
        return plan_down(o, now)
    if CONNECTION_FINALIZER not in o.connection.metadata.finalizers:
        return Plan(actions=(AddFinalizer(),))
    if _was_ended_remotely(o):
        return _stay_inactive(o, now)
    if o.pool is None:
        return _no_pool(o, now)
    if o.connection.status.credits is None:
        return _towards_credits(o, o.pool, now)
    if o.connection.status.connection_id is None:
        return _towards_connection(o, o.pool, o.connection.status.credits, now)
    return _towards_token(o, o.pool, o.connection.status.connection_id, now)


# --- credits ----------------------------------------------------------------------------------------------------


def _towards_credits(o: Observation, pool: PoolView, now: datetime) -> Plan:
    spec = o.connection.spec
    cost = price(spec.system, spec.environment, pool.pricing)
    if isinstance(cost, NotOffered):
        return _stuck(o, cost.reason, cost.remedy, now)
    if o.trouble and o.trouble.retry_at is None:
        return _held_up(o, o.trouble, now)
    obstacle = _obstacle(o, pool, cost, now)
    if obstacle:
        return obstacle
    if o.grant:
        return _claim(o, pool, o.grant.amount, now)
    request = RequestCredits(cost.amount, cost.tier)
    if pool.hold or pool.available is not None:
        return Plan(actions=(request,), status=_waiting(o, pool, cost, now))
    return Plan(actions=(request,))


def _obstacle(o: Observation, pool: PoolView, cost: Price, now: datetime) -> Plan | None:
    """What keeps this connection from asking for credits: they are not booked for what cannot work."""
    if o.connection.spec.environment is Environment.SANDBOX and not pool.has_sandbox:
        return _no_sandbox(o, pool, now)
    if cost.amount > pool.limit:
        return _exceeds(o, pool, cost, now)
    if o.secret.state is SecretState.FOREIGN:
        return _secret_conflict(o, now)
    if o.is_login_present is False:
        return _no_login(o, now)
    return _pool_obstacle(o, pool, now)


def _pool_obstacle(o: Observation, pool: PoolView, now: datetime) -> Plan | None:
    if pool.is_deleting:
        message = f"pool {pool.name} is being deleted and grants nothing new: name another pool in spec.poolRef"
        return _working(o, Reason.POOL_DELETING, message, now)
    if pool.trouble:
        message = f"pool {pool.name} cannot grant credits now: {pool.trouble.message}"
        return _working(o, Reason.POOL_NOT_READY, message, now)
    if not pool.is_led:
        return Plan()
    return None if o.remote.is_complete else Plan(actions=(ListAccount(),))


def _no_sandbox(o: Observation, pool: PoolView, now: datetime) -> Plan:
    message = (
        f"pool {pool.name} has no sandbox account: use environment Test or Production, or ask for spec.account.sandbox"
    )
    return _stuck(o, Reason.NO_SANDBOX_ACCOUNT, message, now)


def _exceeds(o: Observation, pool: PoolView, cost: Price, now: datetime) -> Plan:
    message = (
        f"needs {cost.amount} credits, but pool {pool.name} has {pool.limit} in all: "
        f"raise the pool's spec.credits or name another pool in spec.poolRef"
    )
    return _stuck(o, Reason.EXCEEDS_POOL, message, now)


def _secret_conflict(o: Observation, now: datetime) -> Plan:
    name = o.connection.secret_name
    message = (
        f"Secret {name} exists and belongs to {o.secret.owner}: it is left alone; "
        f"choose another spec.token.secretName, or delete that Secret"
    )
    return _stuck(o, Reason.SECRET_CONFLICT, message, now, requeue_after=LOOK_AGAIN)


def _no_login(o: Observation, now: datetime) -> Plan:
    name = o.connection.spec.authorization.credentials.secret_ref.name
    message = (
        f"waiting for Secret {name} in namespace {o.connection.metadata.namespace}, which must hold the customer's "
        f"login: create it, or mend spec.authorization.credentials.secretRef"
    )
    return _working(o, Reason.LOGIN_SECRET_NOT_FOUND, message, now, requeue_after=LOOK_AGAIN)


def _waiting(o: Observation, pool: PoolView, cost: Price, now: datetime) -> MakiniConnectionStatus:
    available = pool.available or 0
    if pool.hold:
        reason, why = Reason.POOL_ON_HOLD, "the pool is on hold and grants nothing new until its spec.hold is false"
    else:
        reason, why = Reason.WAITING_FOR_CREDITS, "it is connected as soon as enough return or the pool grows"
    message = f"needs {cost.amount} credits, {available} available in pool {pool.name}: {why}"
    report = Report(Phase.WAITING, Progress.WORKING, reason, message)
    return tell(o.connection, report, now=now, facts={"waiting": Waiting(need=cost.amount, available=available)})


def _claim(o: Observation, pool: PoolView, amount: int, now: datetime) -> Plan:
    """Take the granted credits; unless Makini already has this connection, record the intent in the same write."""
    assert o.grant is not None  # noqa: S101 - narrows the type; the caller has looked
    claim = Claim(pool=pool.name, pool_uid=pool.uid, amount=amount, tier=o.grant.tier, granted_at=timestamp(now))
    facts: dict[str, Any] = {"credits": claim, "waiting": None}
    facts |= (
        {"connection_id": o.remote.ids[0], "connected_at": timestamp(now)} if o.remote.ids else _next_intent(o, now)
    )
    return Plan(status=_connecting(o, "credits are held; the connection is being opened at Makini", now, facts))


# --- the connection at Makini -----------------------------------------------------------------------------------


def _towards_connection(o: Observation, pool: PoolView, claim: Claim, now: datetime) -> Plan:
    if o.trouble and o.trouble.retry_at is None:
        return _refused(o, o.trouble, now)
    if o.trouble and o.trouble.retry_at and now < o.trouble.retry_at:
        return _held_up(o, o.trouble, now)
    if pool.trouble:
        return _held_up(o, pool.trouble, now)
    if not pool.is_led:
        return Plan()
    if o.may_post:
        return Plan(actions=(Open(claim.amount),))
    if not o.remote.is_complete:
        return Plan(actions=(ListAccount(),))
    if o.remote.ids:
        facts = {"connection_id": o.remote.ids[0], "connected_at": timestamp(now), "intent": None}
        return Plan(status=_connecting(o, "the connection is open; its token is being published", now, facts))
    message = o.trouble.message if o.trouble else "credits are held; the connection is being opened at Makini"
    reason = o.trouble.reason if o.trouble else Reason.CONNECTING
    return Plan(status=_connecting(o, message, now, _next_intent(o, now), reason=reason))


def _refused(o: Observation, trouble: Trouble, now: datetime) -> Plan:
    """Makini will not open this as it is: nothing was opened, so the credits go back and the spec can be mended."""
    if not o.remote.is_complete:
        return Plan(actions=(ListAccount(),))
    if o.remote.ids:
        return Plan(actions=(Close(o.remote.ids),))
    report = Report(Phase.FAILED, Progress.STUCK, trouble.reason, trouble.message)
    facts = {"credits": None, "intent": None, "waiting": None}
    return Plan(status=tell(o.connection, report, now=now, facts=facts), requeue_after=LOOK_AGAIN)


def _next_intent(o: Observation, now: datetime) -> dict[str, Any]:
    attempt = o.connection.status.intent.attempt + 1 if o.connection.status.intent else 1
    return {"intent": Intent(incarnation=o.incarnation, attempt=attempt, at=timestamp(now))}


# --- the token --------------------------------------------------------------------------------------------------


def _towards_token(o: Observation, pool: PoolView, connection_id: str, now: datetime) -> Plan:
    if o.remote.is_recorded_absent and pool.trouble is None:
        return _ended_remotely(o, connection_id, now)
    if o.secret.state is SecretState.FOREIGN:
        return _secret_conflict(o, now)
    chores = _chores(o, connection_id, now)
    if not chores:
        return _settled(o, now)
    if o.trouble and (o.trouble.retry_at is None or now < o.trouble.retry_at):
        return _held_up(o, o.trouble, now)
    if pool.trouble and any(isinstance(chore, Close | PublishToken | SendMetadata) for chore in chores):
        return _held_up(o, pool.trouble, now)
    if not pool.is_led:
        return Plan()
    if connection_id not in o.remote.ids and any(isinstance(chore, PublishToken | SendMetadata) for chore in chores):
        return Plan(actions=(ListAccount(),))
    return Plan(actions=chores)


def _chores(o: Observation, connection_id: str, now: datetime) -> tuple[Action, ...]:
    chores: list[Action] = []
    surplus = tuple(i for i in o.remote.ids if i != connection_id)
    if surplus and connection_id in o.remote.ids:
        chores.append(Close(surplus))
    if o.metadata_at_makini != o.metadata_digest:
        chores.append(SendMetadata(connection_id))
    if o.secret.state in (SecretState.ABSENT, SecretState.TOKEN_LOST) or _is_due(o, now):
        chores.append(PublishToken(connection_id))
    elif o.secret.state is SecretState.ALTERED:
        chores.append(RepairSecret(connection_id))
    chores.extend(DeleteSecret(name) for name in o.superseded_secrets)
    return tuple(chores)


def _settled(o: Observation, now: datetime) -> Plan:
    assert o.secret.issued_at and o.secret.expires_at  # noqa: S101, PT018 - an intact Secret has both
    rotate_at = _rotation_time(o.secret.issued_at, o.secret.expires_at)
    token = TokenStatus(
        secret_name=o.connection.secret_name,
        issued_at=timestamp(o.secret.issued_at),
        expires_at=timestamp(o.secret.expires_at),
        rotate_at=timestamp(rotate_at),
    )
    facts = {"token": token, "endpoint": o.endpoint, "metadata_digest": o.metadata_digest}
    facts |= {"intent": None, "waiting": None}
    message = f"connected to {o.connection.spec.system.name}; the token is in Secret {token.secret_name}"
    status = tell(o.connection, Report(Phase.ACTIVE, Progress.DONE, Reason.CONNECTED, message), now=now, facts=facts)
    return Plan(status=status, requeue_after=max(rotate_at - now, timedelta(seconds=1)))


def _is_due(o: Observation, now: datetime) -> bool:
    return bool(
        o.secret.issued_at and o.secret.expires_at and now >= _rotation_time(o.secret.issued_at, o.secret.expires_at)
    )


def _rotation_time(issued_at: datetime, expires_at: datetime) -> datetime:
    return issued_at + (expires_at - issued_at) * ROTATE_AFTER


# --- ended by somebody else -------------------------------------------------------------------------------------


def _ended_remotely(o: Observation, connection_id: str, now: datetime) -> Plan:
    """Somebody disconnected it in the dashboard: never undone by us, because that costs money."""
    if o.secret.state not in (SecretState.ABSENT, SecretState.FOREIGN):
        return Plan(actions=(DeleteSecret(o.connection.secret_name),))
    if o.remote.ids:
        return _close_duplicates(o, None, now)
    if o.remote.ids:
        return Plan(actions=(Close(o.remote.ids),))
    facts = closed_facts(o, Reason.DISCONNECTED_REMOTELY, now)
    return Plan(status=tell(o.connection, _inactive(connection_id), now=now, facts=facts))


def _stay_inactive(o: Observation, now: datetime) -> Plan:
    history = o.connection.status.history or []
    ended = history[0].connection_id if history else None
    status = tell(o.connection, _inactive(ended or "unknown"), now=now)
    if o.secret.state not in (SecretState.ABSENT, SecretState.FOREIGN):
        return Plan(actions=(DeleteSecret(o.connection.secret_name),), status=status)
    if o.remote.ids:
        return _close_duplicates(o, status, now)
    return Plan(status=status)


def _close_duplicates(o: Observation, status: MakiniConnectionStatus | None, now: datetime) -> Plan:
    """A duplicate of what somebody ended goes, too: credits return only when nothing of it is left."""
    retry_at = o.trouble.retry_at if o.trouble else None
    if retry_at and now < retry_at:
        return Plan(status=status, requeue_after=retry_at - now)
    return Plan(actions=(Close(o.remote.ids),), status=status)


def _inactive(connection_id: str) -> Report:
    message = (
        f"connection {connection_id} was disconnected at Makini by somebody else; it is not opened again by itself: "
        f"set spec.connected to false and then to true to open a new one"
    )
    return Report(Phase.INACTIVE, Progress.STUCK, Reason.DISCONNECTED_REMOTELY, message)


def _was_ended_remotely(o: Observation) -> bool:
    status = o.connection.status
    connected = find(status.conditions or [], ConditionType.CONNECTED)
    is_marked = connected is not None and connected.reason == Reason.DISCONNECTED_REMOTELY
    return is_marked and status.credits is None and status.connection_id is None


# --- words ------------------------------------------------------------------------------------------------------


def _no_pool(o: Observation, now: datetime) -> Plan:
    name = o.connection.spec.pool_ref.name
    message = f"waiting for CreditPool {name}, which does not exist: create it, or mend spec.poolRef.name"
    return _working(o, Reason.POOL_NOT_FOUND, message, now)


def _held_up(o: Observation, trouble: Trouble, now: datetime) -> Plan:
    if trouble.retry_at is None:
        return _stuck(o, trouble.reason, trouble.message, now, requeue_after=LOOK_AGAIN)
    after = max(trouble.retry_at - now, timedelta(0))
    return _working(o, trouble.reason, trouble.message, now, requeue_after=after)


def _phase(o: Observation, *, stuck: bool) -> Phase:
    if o.connection.status.connection_id and o.connection.status.token:
        return Phase.ACTIVE
    if stuck:
        return Phase.FAILED
    return Phase.CONNECTING if o.connection.status.credits else Phase.WAITING


def _working(
    o: Observation, reason: Reason, message: str, now: datetime, *, requeue_after: timedelta | None = None
) -> Plan:
    report = Report(_phase(o, stuck=False), Progress.WORKING, reason, message)
    return Plan(status=tell(o.connection, report, now=now, facts={"waiting": None}), requeue_after=requeue_after)


def _stuck(
    o: Observation, reason: Reason, message: str, now: datetime, *, requeue_after: timedelta | None = None
) -> Plan:
    report = Report(_phase(o, stuck=True), Progress.STUCK, reason, message)
    return Plan(status=tell(o.connection, report, now=now, facts={"waiting": None}), requeue_after=requeue_after)


def _connecting(
    o: Observation, message: str, now: datetime, facts: dict[str, Any], *, reason: Reason = Reason.CONNECTING
) -> MakiniConnectionStatus:
    return tell(o.connection, Report(Phase.CONNECTING, Progress.WORKING, reason, message), now=now, facts=facts)
