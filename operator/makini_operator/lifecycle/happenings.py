"""What a person wants to be told: derived from the difference between two statuses.

Because it is a difference, and the status write that makes it carries the version it was
decided on, nothing is told twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from makini_operator.lifecycle.words import credits_in_words
from makini_operator.resources.conditions import find
from makini_operator.resources.connection import MakiniConnectionStatus
from makini_operator.resources.reasons import ConditionType, Reason


@dataclass(frozen=True)
class Happening:
    """One Kubernetes Event."""

    reason: str
    message: str
    is_warning: bool = False


def happenings(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> tuple[Happening, ...]:
    """The events between two statuses of one connection, in order."""
    found = (_granted(old, new), _connected(old, new), _disconnected(old, new), _returned(old, new), _stalled(old, new))
    return tuple(happening for happening in found if happening)


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


def _disconnected(old: MakiniConnectionStatus, new: MakiniConnectionStatus) -> Happening | None:
    if not old.connection_id or old.connection_id == new.connection_id:
        return None
    history = new.history or []
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
