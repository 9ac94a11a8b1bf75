"""How a connection's situation is told: phase, conditions and the rest of `status`.

kstatus-exact: `Reconciling` while work goes on or something is awaited, `Stalled` when only
a person can help, neither when done; `Ready` always, with the one message that matters.
The other conditions are derived from the facts in status, never from the path taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from makini_operator.lifecycle.sync_report import syncs_healthy
from makini_operator.lifecycle.token_report import token_ready
from makini_operator.lifecycle.words import credits_in_words
from makini_operator.resources.conditions import Finding, find, finding, merge
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.connection_status import MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import ConditionType, Reason


class Progress(Enum):
    """What the reader of the status should do: nothing, wait, or act."""

    DONE = auto()
    WORKING = auto()
    STUCK = auto()


@dataclass(frozen=True)
class Report:
    """One situation in words."""

    phase: Phase
    progress: Progress
    reason: Reason
    message: str


def tell(
    connection: MakiniConnection, report: Report, *, now: datetime, facts: dict[str, Any] | None = None
) -> MakiniConnectionStatus:
    """The status that says `report`; `facts` are fields of the status that change with it."""
    generation = connection.metadata.generation
    changed = connection.status.model_copy(update=facts or {})
    findings = [*_headline(report), *_details(changed, report), *syncs_healthy(connection, changed, report)]
    conditions = merge(connection.status.conditions or [], findings, generation=generation, now=now)
    return changed.model_copy(
        update={"observed_generation": generation, "phase": report.phase, "conditions": list(conditions)}
    )


def _headline(report: Report) -> list[Finding]:
    done = report.progress is Progress.DONE
    ready = finding(ConditionType.READY, holds=done, reason=report.reason, message=report.message)
    if done:
        return [ready]
    kind = ConditionType.STALLED if report.progress is Progress.STUCK else ConditionType.RECONCILING
    return [ready, finding(kind, holds=True, reason=report.reason, message=report.message)]


def _details(status: MakiniConnectionStatus, report: Report) -> list[Finding]:
    return [_credits_held(status, report), _connected(status, report), token_ready(status, report)]


def _credits_held(status: MakiniConnectionStatus, report: Report) -> Finding:
    claim = status.credits
    if claim:
        message = f"holds {credits_in_words(claim.amount)} of pool {claim.pool} (tier {claim.tier})"
        return finding(ConditionType.CREDITS_HELD, holds=True, reason=Reason.CREDITS_GRANTED, message=message)
    if status.waiting:
        need, available = credits_in_words(status.waiting.need), status.waiting.available
        message = f"needs {need}; {available} available"
        reason = Reason(status.waiting.reason or Reason.WAITING_FOR_CREDITS)
        return finding(ConditionType.CREDITS_HELD, holds=False, reason=reason, message=message)
    if report.phase in (Phase.DISCONNECTED, Phase.INACTIVE):
        message = "the credits have returned to the pool"
        return finding(ConditionType.CREDITS_HELD, holds=False, reason=Reason.CREDITS_RETURNED, message=message)
    return finding(ConditionType.CREDITS_HELD, holds=False, reason=report.reason, message=report.message)


def _connected(status: MakiniConnectionStatus, report: Report) -> Finding:
    if status.connection_id:
        message = f"open at Makini as {status.connection_id}"
        return finding(ConditionType.CONNECTED, holds=True, reason=Reason.CONNECTED, message=message)
    if report.reason in (Reason.DISCONNECTED, Reason.DISCONNECTED_REMOTELY):
        return finding(ConditionType.CONNECTED, holds=False, reason=report.reason, message=report.message)
    if status.intent:
        return finding(ConditionType.CONNECTED, holds=None, reason=Reason.CONNECTING, message="being opened at Makini")
    before = find(status.conditions or [], ConditionType.CONNECTED)
    if before and before.reason == Reason.DISCONNECTED_REMOTELY:
        # Remembered whatever else is told meanwhile: without it the connection would be opened again by itself.
        return finding(
            ConditionType.CONNECTED, holds=False, reason=Reason.DISCONNECTED_REMOTELY, message=before.message
        )
    return finding(ConditionType.CONNECTED, holds=False, reason=Reason.NOT_CONNECTED, message="not open at Makini")
