"""The way down: deletion, or `connected: false`.

Syncs, workflows and Secret go at once, whether or not Makini answers. Then the connection is closed at
Makini and the account listed until no connection with our marker is left; only then one
status write gives up claim, id and intent together, and the finalizer follows in a write of
its own. Nothing is needed from the namespace: its Secrets may have vanished first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from makini_operator.lifecycle.actions import (
    Action,
    Close,
    DeleteSecret,
    EndRuns,
    ListAccount,
    Plan,
    RemoveEgress,
    RemoveFinalizer,
)
from makini_operator.lifecycle.observation import Observation, SecretState, Trouble
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.lifecycle.sharing import remaining_stores, withdrawal
from makini_operator.lifecycle.steps import LOOK_AGAIN, marker_lost, refusal
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection import CONNECTION_FINALIZER
from makini_operator.resources.connection_status import HISTORY_LIMIT, HistoryEntry, MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import Reason

_NEVER_WRITTEN = -1
"""`observedGeneration` of a status that the schema has filled in."""


def plan_down(o: Observation, now: datetime) -> Plan:
    """The next steps towards nothing left at Makini and nothing held."""
    children = children_to_remove(o, now)
    if children:
        return Plan(actions=children)
    if _may_be_open(o):
        return close_connection(o, now, lambda: _closed(o, now))
    if not o.connection.metadata.is_deleting:
        facts = {"waiting": None, "token": None, "stores": sorted(remaining_stores(o)) or None}
        status = tell(o.connection, _disconnected(), now=now, facts=facts)
        return Plan(status=status, requeue_after=LOOK_AGAIN if is_anything_left(o, now) else None)
    if CONNECTION_FINALIZER in o.connection.metadata.finalizers:
        return Plan(actions=(RemoveFinalizer(),))
    return Plan()


def finish_closing(o: Observation, now: datetime) -> Plan:
    """A disconnect that is not wanted any more after it was recorded: it is ended all the same, then all begins anew.

    Makini may have been asked for it already, by this process or an earlier one, and the call may be under way.
    """
    children = children_to_remove(o, now)
    return Plan(actions=children) if children else close_connection(o, now, lambda: _begun_anew(o, now))


def children_to_remove(o: Observation, now: datetime) -> tuple[Action, ...]:
    """What goes at once. What Kubernetes has refused to give up is left for later: it never holds up the disconnect."""
    ours = (action for action, reason in _children(o, now) if not refusal(o, reason, now))
    return (*withdrawal(o, now), *ours)


def closed_facts(o: Observation, reason: Reason, now: datetime) -> dict[str, Any]:
    """The fields that change, all in one write, when the end of a connection is confirmed."""
    status = o.connection.status
    facts: dict[str, Any] = dict.fromkeys(
        (
            "credits",
            "connection_id",
            "connected_at",
            "intent",
            "token",
            "endpoint",
            "waiting",
            "metadata_digest",
            "adopted",
            "revocation",
            "closing",
        )
    )
    facts["stores"] = sorted(remaining_stores(o)) or None
    facts["syncs"] = [sync.model_copy(update={"waiting": None}) for sync in status.syncs or []] or None
    if status.connection_id:
        entry = HistoryEntry(
            connection_id=status.connection_id,
            connected_at=status.connected_at,
            disconnected_at=timestamp(now),
            reason=reason,
        )
        facts["history"] = [entry, *(status.history or [])][:HISTORY_LIMIT]
    return facts


def _children(o: Observation, now: datetime) -> list[tuple[Action, Reason]]:
    """What has to go, and what a refusal is called: runs first, because they use the token."""
    children: list[tuple[Action, Reason]] = []
    if o.cron_jobs.is_anything_left:
        children.append((EndRuns(), Reason.WORKFLOW_REFUSED))
    elif o.egress.is_anything_there:
        children.append((RemoveEgress(), Reason.SYNC_REFUSED))
    if o.readers.is_anything_there and refusal(o, Reason.READERS_REFUSED, now):  # it names the Secret
        return children
    names = list(o.superseded_secrets)
    if o.secret.state not in (SecretState.ABSENT, SecretState.FOREIGN):
        names.append(o.connection.secret_name)
    return [*children, *((DeleteSecret(name), Reason.SECRET_REFUSED) for name in names)]


def is_anything_left(o: Observation, now: datetime) -> bool:
    """What Kubernetes has refused to give up."""
    return bool(_children(o, now)) or o.readers.is_anything_there or bool(o.stores.to_remove)


def _may_be_open(o: Observation) -> bool:
    """Also when the status says nothing, because somebody has wiped it: then a listing has the last word."""
    status = o.connection.status
    if status.credits or status.connection_id or status.intent or o.remote.ids:
        return True
    is_unsaid = status.observed_generation in (None, _NEVER_WRITTEN) or status.phase is Phase.DISCONNECTING
    was_begun = CONNECTION_FINALIZER in o.connection.metadata.finalizers
    return is_unsaid and was_begun and o.pool is not None and not o.remote.is_complete


def close_connection(o: Observation, now: datetime, closed: Callable[[], Plan]) -> Plan:
    """Close it at Makini and list until nothing is left; then what `closed` says."""
    if o.pool is None:
        name = o.connection.status.credits.pool if o.connection.status.credits else o.connection.spec.pool_ref.name
        message = (
            f"cannot disconnect at Makini: CreditPool {name}, which holds the account, does not exist; "
            f"create it again and the disconnect goes on by itself"
        )
        return _held_up(o, Trouble(Reason.POOL_NOT_FOUND, message), now)
    if o.pool.trouble:
        return _held_up(o, o.pool.trouble, now)
    if o.trouble and o.trouble.retry_at and now < o.trouble.retry_at:
        return _held_up(o, o.trouble, now)
    if not o.pool.is_led:
        return Plan()
    return _close_at_makini(o, now, closed)


def _close_at_makini(o: Observation, now: datetime, closed: Callable[[], Plan]) -> Plan:
    if o.remote.is_recorded_unmarked:
        return _held_up(o, replace(marker_lost(o), retry_at=now + LOOK_AGAIN), now)
    if o.remote.ids:
        return _recorded_first(o, now) or Plan(actions=(Close(o.remote.ids),))
    if not o.remote.is_complete:
        return Plan(actions=(ListAccount(),))
    return closed()


def _recorded_first(o: Observation, now: datetime) -> Plan | None:
    """A wish that can be taken back is recorded before Makini is asked.

    Else whoever finds the connection wanted and gone takes its end for somebody else's. A deletion or a revocation is
    on record already.
    """
    status = o.connection.status
    is_on_record = o.connection.metadata.is_deleting or status.revocation is not None or status.is_closing
    if is_on_record or status.connection_id not in o.remote.ids or not o.may_record_closing:
        return None
    message = f"disconnecting: Makini is being asked to end connection {status.connection_id}"
    report = Report(Phase.DISCONNECTING, Progress.WORKING, Reason.DISCONNECTING, message)
    facts = {"closing": status.connection_id, "token": None, "waiting": None}
    return Plan(status=tell(o.connection, report, now=now, facts=facts))


def _closed(o: Observation, now: datetime) -> Plan:
    facts = closed_facts(o, Reason.DISCONNECTED, now)
    return Plan(status=tell(o.connection, _disconnected(), now=now, facts=facts))


def _begun_anew(o: Observation, now: datetime) -> Plan:
    message = "the disconnect that was under way has come to its end; credits are asked for, for a new connection"
    report = Report(Phase.CONNECTING, Progress.WORKING, Reason.CONNECTING, message)
    return Plan(status=tell(o.connection, report, now=now, facts=closed_facts(o, Reason.DISCONNECTED, now)))


def _held_up(o: Observation, trouble: Trouble, now: datetime) -> Plan:
    after = max(trouble.retry_at - now, timedelta(0)) if trouble.retry_at else None
    return Plan(status=_disconnecting(o, trouble, now), requeue_after=after)


def _disconnecting(o: Observation, trouble: Trouble, now: datetime) -> MakiniConnectionStatus:
    message = f"disconnecting, and not confirmed by Makini yet: {trouble.message}"
    report = Report(Phase.DISCONNECTING, Progress.WORKING, trouble.reason, message)
    return tell(o.connection, report, now=now, facts={"token": None, "waiting": None})


def _disconnected() -> Report:
    message = "disconnected as spec.connected says: the token is invalid and the credits have returned"
    return Report(Phase.DISCONNECTED, Progress.DONE, Reason.DISCONNECTED, message)
