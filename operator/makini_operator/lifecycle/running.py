"""A connection that is open: its metadata, its token's Secret, its workflows, and the token's renewal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from makini_operator.lifecycle.actions import (
    Action,
    Close,
    DeleteSecret,
    ListAccount,
    Plan,
    PublishToken,
    RepairSecret,
    SendMetadata,
)
from makini_operator.lifecycle.ended import ended_remotely
from makini_operator.lifecycle.observation import Observation, PoolView, SecretState, Trouble
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.lifecycle.steps import LOOK_AGAIN, held_up, marker_lost, refusal, secret_conflict
from makini_operator.lifecycle.workflows import workflow_chores, workflow_trouble
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection import Phase, TokenStatus
from makini_operator.resources.reasons import Reason

ROTATE_AFTER = 2 / 3
"""Share of a token's life after which it is renewed."""
ROTATE_SUSPENDED_AFTER = 0.9
"""The same for a suspended connection: no churn, but never an expired token either."""


def keep_running(o: Observation, pool: PoolView, connection_id: str, now: datetime) -> Plan:
    """The next steps of an open connection: what is missing is made, what was changed is restored."""
    if o.remote.is_recorded_absent and pool.trouble is None:
        return ended_remotely(o, connection_id, now)
    if o.secret.state is SecretState.FOREIGN:
        return secret_conflict(o, now)
    chores = _chores(o, connection_id, now)
    if not chores:
        return _with_workflows(o, pool, now)
    trouble = _trouble(o, pool, chores, now)
    if trouble:
        return held_up(o, trouble, now)
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


def _trouble(o: Observation, pool: PoolView, chores: tuple[Action, ...], now: datetime) -> Trouble | None:
    """What keeps these chores from being done now."""
    if o.trouble and (o.trouble.retry_at is None or now < o.trouble.retry_at):
        return o.trouble
    needs_makini = any(isinstance(chore, Close | PublishToken | SendMetadata) for chore in chores)
    if needs_makini and pool.trouble:
        return pool.trouble
    if needs_makini and o.remote.is_recorded_unmarked:
        return marker_lost(o)
    if any(isinstance(chore, PublishToken | RepairSecret | DeleteSecret) for chore in chores):
        return refusal(o, Reason.SECRET_REFUSED, now)
    return None


def _with_workflows(o: Observation, pool: PoolView, now: datetime) -> Plan:
    """The token is as it should be; trouble with a workflow changes nothing about that."""
    assert o.secret.issued_at and o.secret.expires_at  # noqa: S101, PT018 - an intact Secret has both
    rotate_at = _rotation_time(o, o.secret.issued_at, o.secret.expires_at)
    until_rotation = max(rotate_at - now, timedelta(seconds=1))
    token = TokenStatus(
        secret_name=o.connection.secret_name,
        issued_at=timestamp(o.secret.issued_at),
        expires_at=timestamp(o.secret.expires_at),
        rotate_at=timestamp(rotate_at),
    )
    facts: dict[str, Any] = {"token": token, "endpoint": o.endpoint, "metadata_digest": o.metadata_digest}
    facts |= {"intent": None, "waiting": None}
    trouble = workflow_trouble(o, now)
    if trouble:
        report = Report(Phase.ACTIVE, Progress.STUCK, trouble.reason, f"{trouble.message}; {_connected(o)}")
        status = tell(o.connection, report, now=now, facts=facts)
        return Plan(status=status, requeue_after=min(LOOK_AGAIN, until_rotation))
    chores = workflow_chores(o)
    if chores:
        return Plan(actions=chores) if pool.is_led else Plan()
    report = Report(Phase.ACTIVE, Progress.DONE, Reason.CONNECTED, _connected(o))
    return Plan(status=tell(o.connection, report, now=now, facts=facts), requeue_after=until_rotation)


def _connected(o: Observation) -> str:
    spec = o.connection.spec
    words = f"connected to {spec.system.name}; the token is in Secret {o.connection.secret_name}"
    return f"{words}; suspended: workflows and renewal pause" if spec.suspend else words


def _is_due(o: Observation, now: datetime) -> bool:
    return bool(
        o.secret.issued_at and o.secret.expires_at and now >= _rotation_time(o, o.secret.issued_at, o.secret.expires_at)
    )


def _rotation_time(o: Observation, issued_at: datetime, expires_at: datetime) -> datetime:
    share = ROTATE_SUSPENDED_AFTER if o.connection.spec.suspend else ROTATE_AFTER
    return issued_at + (expires_at - issued_at) * share
