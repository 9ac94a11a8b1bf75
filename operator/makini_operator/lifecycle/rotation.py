"""The rotation of a token, one durable step after the other.

Recorded in status → minted and published together with the previous token → previous token
tried at Makini → workloads restarted, each when the one before is complete → previous token
dropped after its overlap → record removed. A lost token is replaced at once, without a record
before. The Secret says which attempt it holds, a workload's template says for which attempt it was
restarted, and the record says which attempt is wanted: so another process goes on from wherever
this one stopped, and no clock is asked about order.
"""

from __future__ import annotations

from datetime import datetime

from makini_operator.lifecycle.actions import Action, DropPrevious, ProbePrevious, PublishToken, RestartWorkload
from makini_operator.lifecycle.observation import Observation, SecretState, Trouble, WorkloadState
from makini_operator.lifecycle.requests import handled, rotation_request
from makini_operator.lifecycle.steps import refusal
from makini_operator.lifecycle.token_times import overlap, times
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.reasons import Reason
from makini_operator.resources.token import RestartTarget
from makini_operator.resources.token_status import Previous, RotationProgress, Why

_LOST = (SecretState.ABSENT, SecretState.TOKEN_LOST)


def begun(o: Observation, now: datetime) -> MakiniConnectionStatus | None:
    """The status that records a rotation which is to begin now; None: none is.

    Nothing else changes in it, so that what it says of everything else stays true.
    """
    token = o.connection.status.token
    if token is None or o.secret.state in _LOST:
        return None
    why = _why(o, token.rotation, now)
    if why is None:
        return None
    progress = RotationProgress(
        attempt=max(token.attempt or 0, o.secret.attempt) + 1, reason=why, started_at=timestamp(now)
    )
    changes: dict[str, object] = {"token": token.model_copy(update={"rotation": progress})}
    request = rotation_request(o)
    if request:
        changes["handled"] = handled(o.connection, rotate_at=request)
    return o.connection.status.model_copy(update=changes)


def publication(o: Observation, connection_id: str) -> tuple[Action, ...]:
    """The first token of a connection, one that was lost, or the one that a rotation asks for."""
    progress = progress_of(o.connection)
    is_behind = progress is not None and o.secret.attempt < progress.attempt
    return (PublishToken(connection_id),) if o.secret.state in _LOST or is_behind else ()


def previous_chores(o: Observation, connection_id: str, now: datetime) -> tuple[Action, ...]:
    """What is to be done about the previous token."""
    progress = progress_of(o.connection)
    expires_at = o.secret.previous_expires_at
    if expires_at is None or progress is None or o.secret.attempt < progress.attempt:
        return ()
    if now >= expires_at or progress.previous is Previous.ENDED:
        return (DropPrevious(),)
    if progress.previous is None:
        return (ProbePrevious(connection_id),) if o.previous_works is None else ()
    return (DropPrevious(),) if next_target(o) is None and now >= drop_at(o) else ()


def progress_after(o: Observation) -> RotationProgress | None:
    """The record as it should be: with what is known of the previous token; None when the rotation is over.

    A token that was lost is replaced at once, without a record before; then the Secret is ahead of what status says.
    """
    progress = progress_of(o.connection)
    if _is_ahead(o) or (progress is None and o.secret.previous_expires_at is not None):
        at = timestamp(o.secret.issued_at) if o.secret.issued_at else ""
        why = Why.DUE if o.secret.previous_expires_at else Why.LOST
        return RotationProgress(attempt=o.secret.attempt, reason=why, started_at=at)
    if progress is None and _follows_revocation(o.connection):
        at = timestamp(o.secret.issued_at) if o.secret.issued_at else ""
        return RotationProgress(attempt=o.secret.attempt, reason=Why.REVOKED, started_at=at)
    if progress is None or (o.secret.previous_expires_at is None and next_target(o) is None):
        return None
    if progress.previous is None and o.previous_works is not None:
        found = Previous.WORKS if o.previous_works else Previous.ENDED
        return progress.model_copy(update={"previous": found})
    return progress


def next_target(o: Observation) -> RestartTarget | None:
    """The first workload whose restart is not complete."""
    if progress_of(o.connection) is None:
        return None
    for target in targets(o.connection):
        found = o.workloads.get(target)
        if found is None or found.state is not WorkloadState.DONE:
            return target
    return None


def restart(o: Observation, now: datetime) -> tuple[Action, ...]:
    """The restart that comes next."""
    target = next_target(o)
    if target is None or refusal(o, Reason.ROLLOUT_STUCK, now):
        return ()
    found = o.workloads.get(target)
    is_pending = found is not None and found.state is WorkloadState.PENDING
    return (RestartWorkload(target.kind, target.name),) if is_pending else ()


def rollout_trouble(o: Observation, now: datetime) -> Trouble | None:
    """Why the rotation cannot go on: which workload, and what is wrong with it."""
    target = next_target(o)
    if target is None:
        return None
    refused = refusal(o, Reason.ROLLOUT_STUCK, now)
    if refused:
        return refused
    found = o.workloads.get(target)
    if found is None or found.state is not WorkloadState.STUCK:
        return None
    rest = "; the previous token stays in the Secret until then" if o.secret.previous_expires_at else ""
    message = (
        f"the token was rotated, but the restart of {target.kind} {target.name} does not come to its end: {found.why}; "
        f"mend it and the rotation goes on, or take it out of spec.token.rolloutRestart{rest}"
    )
    return Trouble(Reason.ROLLOUT_STUCK, message)


def awaited(o: Observation) -> str:
    """What a rotation under way waits for, in words; empty: no rollout."""
    target = next_target(o)
    found = o.workloads.get(target) if target else None
    return f"{target.kind} {target.name}: {found.why}" if target and found and found.why else ""


def drop_at(o: Observation) -> datetime:
    """When the previous token goes, if all restarts are complete."""
    assert o.secret.issued_at  # noqa: S101 - an intact Secret has it
    after = o.secret.issued_at + overlap(o.connection)
    return min(after, o.secret.previous_expires_at or after)


def targets(connection: MakiniConnection) -> list[RestartTarget]:
    """The workloads to restart, in the order of the spec."""
    return (connection.spec.token.rollout_restart if connection.spec.token else None) or []


def progress_of(connection: MakiniConnection) -> RotationProgress | None:
    """The rotation under way."""
    return connection.status.token.rotation if connection.status.token else None


def attempt_of(connection: MakiniConnection) -> int:
    """The number of the token that is published next."""
    token = connection.status.token
    if token is None:
        return 0
    following = (token.attempt or 0) + 1
    return max(following, token.rotation.attempt) if token.rotation else following


def _is_ahead(o: Observation) -> bool:
    """The Secret has a newer token than anything that the status speaks of."""
    token = o.connection.status.token
    if token is None:
        return False
    return o.secret.attempt > max(token.attempt or 0, token.rotation.attempt if token.rotation else 0)


def _follows_revocation(connection: MakiniConnection) -> bool:
    """The first token after a revocation: whoever reads it only at the start still has the dead one."""
    status = connection.status
    last = status.history[0].reason if status.history else None
    return status.token is None and last == Reason.TOKEN_REVOKED and bool(targets(connection))


def _why(o: Observation, progress: RotationProgress | None, now: datetime) -> Why | None:
    if progress is not None and o.secret.attempt < progress.attempt:
        return None
    assert o.secret.issued_at and o.secret.expires_at  # noqa: S101, PT018 - an intact Secret has both
    due = times(o.connection, o.secret.issued_at, o.secret.expires_at)
    if now >= (due.urgent_at if progress else due.rotate_at):
        return Why.DUE
    return Why.REQUESTED if rotation_request(o) and next_target(o) is None else None
