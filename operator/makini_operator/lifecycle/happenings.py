"""What a person wants to be told: derived from the difference between two statuses.

Because it is a difference, and the status write that makes it carries the version it was
decided on, nothing is told twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from makini_operator.lifecycle.sync_report import in_words
from makini_operator.lifecycle.token_report import is_short_lived
from makini_operator.lifecycle.words import credits_in_words
from makini_operator.resources.conditions import find
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.reasons import ConditionType, Reason
from makini_operator.resources.sync_status import SyncResult
from makini_operator.resources.token_status import Previous


@dataclass(frozen=True)
class Happening:
    """One Kubernetes Event."""

    reason: str
    message: str
    is_warning: bool = False


def happenings(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> tuple[Happening, ...]:
    """The events between two statuses of one connection, in order."""
    kinds = (_granted, _connected, _short_lived, _rotated, _previous_ended, _disconnected, _returned, _stalled)
    found = (kind(old, new) for kind in kinds)
    return (*(happening for happening in found if happening), *_synced(old, new))


def _granted(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    if old.credits or not new.credits:
        return None
    return Happening(
        Reason.CREDITS_GRANTED, f"{credits_in_words(new.credits.amount)} granted from pool {new.credits.pool}"
    )


def _connected(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    if old.token or not (new.token and new.connection_id):
        return None
    return Happening(
        Reason.CONNECTED,
        f"connected at Makini as {new.connection_id}; token published in Secret {new.token.secret_name}",
    )


def _rotated(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    if not old.token or not new.token or old.connection_id != new.connection_id:
        return None
    if (new.token.attempt or 0) <= (old.token.attempt or 0):
        return None
    why = new.token.rotation or old.token.rotation
    reason = f" ({why.reason.lower()})" if why else ""
    return Happening(Reason.TOKEN_ROTATED, f"a new token is published in Secret {new.token.secret_name}{reason}")


def _previous_ended(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    before = old.token.rotation.previous if old.token and old.token.rotation else None
    after = new.token.rotation.previous if new.token and new.token.rotation else None
    if after is not Previous.ENDED or before is Previous.ENDED:
        return None
    message = "Makini ended the previous token when the new one was made: consumers that have not read the new one fail"
    return Happening(Reason.PREVIOUS_TOKEN_ENDED, message, is_warning=True)


def _short_lived(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    if not new.token or not is_short_lived(new.token) or (old.token and is_short_lived(old.token)):
        return None
    message = f"Makini issued a token that expires at {new.token.expires_at} already"
    return Happening(Reason.TOKEN_SHORT_LIVED, message, is_warning=True)


def _disconnected(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    if not old.connection_id or old.connection_id == new.connection_id:
        return None
    history = new.history or []
    if history and history[0].reason == Reason.TOKEN_REVOKED:
        message = f"connection {old.connection_id} disconnected to revoke its token; its credits stay held"
        return Happening(Reason.TOKEN_REVOKED, message)
    remotely = bool(history) and history[0].reason == Reason.DISCONNECTED_REMOTELY
    by = "by somebody else at Makini" if remotely else "as asked"
    return Happening(Reason.DISCONNECTED, f"connection {old.connection_id} disconnected {by}", is_warning=remotely)


def _returned(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    if not old.credits or new.credits:
        return None
    return Happening(
        Reason.CREDITS_RETURNED, f"{credits_in_words(old.credits.amount)} returned to pool {old.credits.pool}"
    )


def _stalled(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    before = find(old.conditions or [], ConditionType.STALLED)
    after = find(new.conditions or [], ConditionType.STALLED)
    if after is None or (before is not None and before.reason == after.reason):
        return None
    return Happening(after.reason, after.message, is_warning=True)


def _synced(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> list[Happening]:
    """A sync whose run does not begin, one that begins to fail, and one that has stopped failing."""
    before = {sync.name: sync.last_result for sync in old.syncs or []}
    waiting = {sync.name for sync in old.syncs or [] if sync.waiting}
    found = []
    for sync in new.syncs or []:
        if sync.waiting and sync.name not in waiting:
            found.append(Happening(Reason.SYNC_NOT_STARTED, in_words([sync]), is_warning=True))
        if sync.last_result is SyncResult.FAILED and before.get(sync.name) is not SyncResult.FAILED:
            found.append(
                Happening(Reason.SYNC_FAILED, in_words([sync.model_copy(update={"waiting": None})]), is_warning=True)
            )
        if sync.last_result is SyncResult.SUCCEEDED and before.get(sync.name) is SyncResult.FAILED:
            found.append(Happening(Reason.SYNC_SUCCEEDED, f"sync {sync.name} succeeds again"))
    return found
