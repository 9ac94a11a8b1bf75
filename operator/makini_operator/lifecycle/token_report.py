"""What the condition TokenReady and the Events say about a token: from the facts in status, never the path taken."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from makini_operator.lifecycle.token_times import SHORT_LIFE
from makini_operator.resources.conditions import Finding, finding
from makini_operator.resources.connection_status import MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import ConditionType, Reason
from makini_operator.resources.token_status import Previous, TokenStatus

if TYPE_CHECKING:
    from makini_operator.lifecycle.report import Report

_NOT_WHERE_WANTED = (
    Reason.READERS_REFUSED,
    Reason.STORES_NOT_SERVED,
    Reason.STORE_NOT_READY,
    Reason.STORE_REFUSED,
)
"""The token is published, but somebody who should get it does not."""


def token_ready(status: MakiniConnectionStatus, report: Report) -> Finding:
    """The condition TokenReady."""
    if report.reason is Reason.SECRET_CONFLICT:
        return _finding(report.reason, report.message, holds=False)
    if status.token:
        return _published(status.token, report)
    message = "no token yet: there is no connection"
    if report.phase in (Phase.DISCONNECTED, Phase.INACTIVE, Phase.DISCONNECTING):
        message = "the token is invalid and its Secret is removed"
        if report.phase is Phase.DISCONNECTING:
            message = "the Secret is removed; the token dies when Makini confirms the disconnect"
        return _finding(Reason.TOKEN_REMOVED, message, holds=False)
    return _finding(Reason.TOKEN_PENDING, message, holds=False)


def is_short_lived(token: TokenStatus) -> bool:
    """Whether it lives so short that its consumers depend on the operator every few hours."""
    return datetime.fromisoformat(token.expires_at) - datetime.fromisoformat(token.issued_at) < SHORT_LIFE


def _published(token: TokenStatus, report: Report) -> Finding:
    message = f"published in Secret {token.secret_name}, valid until {token.expires_at}"
    if report.reason in _NOT_WHERE_WANTED:
        return _finding(report.reason, f"{message}; but {report.message}", holds=False)
    if report.reason is Reason.ROLLOUT_STUCK:
        return _finding(report.reason, f"{message}; {report.message}", holds=True)
    if token.rotation:
        return _finding(Reason.TOKEN_ROTATING, f"{message}; {_progress(token)}", holds=True)
    if is_short_lived(token):
        life = datetime.fromisoformat(token.expires_at) - datetime.fromisoformat(token.issued_at)
        alarm = (
            f"it lives only {life}: while the operator or Makini is down for that long, its consumers stop working; "
            f"ask Makini for tokens that live longer"
        )
        return _finding(Reason.TOKEN_SHORT_LIVED, f"{message}; {alarm}", holds=True)
    return _finding(Reason.TOKEN_PUBLISHED, message, holds=True)


def _progress(token: TokenStatus) -> str:
    rotation = token.rotation
    if rotation is None:
        return ""
    if rotation.attempt > (token.attempt or 0):
        return "a new one is being made"
    if rotation.previous is Previous.ENDED:
        return "Makini ended the previous token when this one was made, so there is no overlap"
    if token.previous_expires_at:
        return "the Secret still holds the previous token, too"
    return "workloads are being restarted"


def _finding(reason: Reason, message: str, *, holds: bool) -> Finding:
    return finding(ConditionType.TOKEN_READY, holds=holds, reason=reason, message=message)
