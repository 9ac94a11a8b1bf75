"""A connection that is open: its metadata, its token's Secret and who may read it, its workflows and syncs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from makini_operator.lifecycle import rotation
from makini_operator.lifecycle.actions import (
    Action,
    Close,
    DeleteSecret,
    DropPrevious,
    ListAccount,
    Plan,
    ProbePrevious,
    PublishToken,
    RepairSecret,
    SendMetadata,
)
from makini_operator.lifecycle.cron_jobs import cron_job_chores, cron_job_trouble
from makini_operator.lifecycle.ended import ended_remotely
from makini_operator.lifecycle.observation import Observation, PoolView, SecretState, Trouble
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.lifecycle.requests import complaint
from makini_operator.lifecycle.sharing import readers_chores, sharing_trouble, store_chores, stores_recorded, withdrawal
from makini_operator.lifecycle.steps import LOOK_AGAIN, held_up, marker_lost, refusal, secret_conflict
from makini_operator.lifecycle.syncs import requests_handled, start_chores, sync_failure, sync_statuses
from makini_operator.lifecycle.token_times import TokenTimes, times
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection_status import Phase
from makini_operator.resources.reasons import Reason
from makini_operator.resources.token_status import TokenStatus

FOLLOW_ROLLOUT = timedelta(seconds=3)
"""How soon to look again at a rollout: the operator watches no workloads."""
FOLLOW_STORES = timedelta(minutes=1)
"""How often to look at PushSecrets that are in order: they are not watched, because their kind need not exist."""


def keep_running(o: Observation, pool: PoolView, connection_id: str, now: datetime) -> Plan:
    """The next steps of an open connection: what is missing is made, what was changed is restored."""
    if o.remote.is_recorded_absent and pool.trouble is None:
        return ended_remotely(o, connection_id, now)
    if o.secret.state is SecretState.FOREIGN:
        shared = withdrawal(o, now)
        return Plan(actions=shared) if shared else secret_conflict(o, now)
    recorded = rotation.begun(o, now) if pool.is_led else None
    if recorded is not None:
        return Plan(status=recorded)
    chores = _chores(o, connection_id, now)
    if not chores:
        return _with_token(o, pool, now)
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
    published = rotation.publication(o, connection_id)
    if not published and o.secret.state is SecretState.ALTERED:
        chores.append(RepairSecret(connection_id))
    else:
        chores.extend(published or rotation.previous_chores(o, connection_id, now))
    if o.readers.are_as_wanted:  # else somebody's Role still names the former Secret
        chores.extend(DeleteSecret(name) for name in o.superseded_secrets)
    return tuple(chores)


def _trouble(o: Observation, pool: PoolView, chores: tuple[Action, ...], now: datetime) -> Trouble | None:
    """What keeps these chores from being done now."""
    if o.trouble and (o.trouble.retry_at is None or now < o.trouble.retry_at):
        return o.trouble
    needs_makini = any(isinstance(chore, Close | PublishToken | SendMetadata | ProbePrevious) for chore in chores)
    if needs_makini and pool.trouble:
        return pool.trouble
    if needs_makini and o.remote.is_recorded_unmarked:
        return marker_lost(o)
    if any(isinstance(chore, PublishToken | RepairSecret | DeleteSecret | DropPrevious) for chore in chores):
        return refusal(o, Reason.SECRET_REFUSED, now)
    return None


def _with_token(o: Observation, pool: PoolView, now: datetime) -> Plan:
    """The token is as it should be; trouble with what uses it changes nothing about that."""
    assert o.secret.issued_at and o.secret.expires_at  # noqa: S101, PT018 - an intact Secret has both
    due = times(o.connection, o.secret.issued_at, o.secret.expires_at)
    token = _token_status(o, due)
    facts: dict[str, Any] = {"token": token, "endpoint": o.endpoint, "metadata_digest": o.metadata_digest}
    facts |= {"intent": None, "waiting": None, "stores": stores_recorded(o)}
    facts |= {"syncs": sync_statuses(o), "handled": requests_handled(o)}
    again = _look_again(o, due, now)
    trouble = cron_job_trouble(o, now) or sharing_trouble(o, now) or rotation.rollout_trouble(o, now)
    chores = _chores_with_token(o, token, now)
    if chores:
        return Plan(actions=chores) if pool.is_led else Plan()
    if trouble:
        progress = Progress.STUCK if trouble.retry_at is None else Progress.WORKING
        report = Report(Phase.ACTIVE, progress, trouble.reason, f"{trouble.message}; {_connected(o)}")
        return Plan(status=tell(o.connection, report, now=now, facts=facts), requeue_after=min(LOOK_AGAIN, again))
    failure = sync_failure(o.connection, facts["syncs"])
    if failure:
        report = Report(Phase.ACTIVE, Progress.STUCK, failure.reason, f"{failure.message}; {_connected(o)}")
    else:
        report = Report(Phase.ACTIVE, Progress.DONE, Reason.CONNECTED, _connected(o))
    return Plan(status=tell(o.connection, report, now=now, facts=facts), requeue_after=again)


def _chores_with_token(o: Observation, token: TokenStatus, now: datetime) -> tuple[Action, ...]:
    """Each part goes on although another is in trouble."""
    shared = (*readers_chores(o, now), *store_chores(o, now))
    scheduled = cron_job_chores(o, now) or start_chores(o, now)
    is_recorded = token.rotation == rotation.progress_of(o.connection)
    return (*shared, *scheduled, *(rotation.restart(o, now) if is_recorded else ()))


def _token_status(o: Observation, due: TokenTimes) -> TokenStatus:
    assert o.secret.issued_at and o.secret.expires_at  # noqa: S101, PT018 - an intact Secret has both
    previous = o.secret.previous_expires_at
    return TokenStatus(
        secret_name=o.connection.secret_name,
        attempt=o.secret.attempt or None,
        issued_at=timestamp(o.secret.issued_at),
        expires_at=timestamp(o.secret.expires_at),
        rotate_at=timestamp(due.rotate_at),
        previous_expires_at=timestamp(previous) if previous else None,
        rotation=rotation.progress_after(o),
    )


def _look_again(o: Observation, due: TokenTimes, now: datetime) -> timedelta:
    """When there is something to do next, if nothing else happens."""
    is_rotating = rotation.progress_of(o.connection) is not None
    delays = [(due.urgent_at if is_rotating else due.rotate_at) - now]
    if o.secret.previous_expires_at is not None:
        delays.append(o.secret.previous_expires_at - now)
        if rotation.next_target(o) is None:
            delays.append(rotation.drop_at(o) - now)
    if rotation.next_target(o) is not None:
        delays.append(FOLLOW_ROLLOUT)
    if o.syncs.look_again_at is not None:
        delays.append(o.syncs.look_again_at - now)
    if o.connection.spec.token and o.connection.spec.token.stores:
        delays.append(FOLLOW_STORES)
    return max(min(delays), timedelta(seconds=1))


def _connected(o: Observation) -> str:
    spec = o.connection.spec
    words = [f"connected to {spec.system.name}; the token is in Secret {o.connection.secret_name}"]
    if spec.suspend:
        words.append("suspended: syncs, workflows and renewal pause")
    rollout = rotation.awaited(o)
    if rollout:
        words.append(f"after the rotation of the token, {rollout}")
    wrong = complaint(o.connection)
    return "; ".join([*words, wrong] if wrong else words)
