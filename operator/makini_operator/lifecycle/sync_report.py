"""What the condition SyncsHealthy says: from the facts in status, never the path taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from makini_operator.resources.conditions import Finding, finding
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.connection_status import MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import ConditionType, Reason
from makini_operator.resources.sync_status import SyncResult, SyncStatus

if TYPE_CHECKING:
    from makini_operator.lifecycle.report import Report


def syncs_healthy(connection: MakiniConnection, status: MakiniConnectionStatus, report: Report) -> list[Finding]:
    """The condition SyncsHealthy; there is none without syncs."""
    names = {sync.name for sync in connection.spec.syncs or []}
    if not names:
        return []
    if report.phase is not Phase.ACTIVE:
        return [_finding(Reason.NOT_CONNECTED, "no sync runs: there is no connection", holds=None)]
    if report.reason is Reason.SYNC_REFUSED:
        return [_finding(report.reason, report.message, holds=False)]
    failed = failing(status)
    if failed:
        return [_finding(why_failing(failed), in_words(failed), holds=False)]
    ended = {sync.name for sync in status.syncs or [] if sync.last_result}
    pending = sorted(names - ended)
    if pending:
        message = f"no run of {', '.join(pending)} has ended yet"
        return [_finding(Reason.SYNC_PENDING, message, holds=None)]
    return [_finding(Reason.SYNC_SUCCEEDED, "the last run of every sync has succeeded", holds=True)]


def failing(status: MakiniConnectionStatus) -> list[SyncStatus]:
    """Syncs whose run does not begin, or whose last run failed."""
    return [sync for sync in status.syncs or [] if sync.waiting or sync.last_result is SyncResult.FAILED]


def why_failing(failed: list[SyncStatus]) -> Reason:
    """The reason for the first of them."""
    return Reason.SYNC_NOT_STARTED if failed[0].waiting else Reason.SYNC_FAILED


def in_words(failed: list[SyncStatus]) -> str:
    """Which syncs are in trouble, and why the first is."""
    first, *others = failed
    more = f"; also in trouble: {', '.join(other.name for other in others)}" if others else ""
    since = f"last success {first.last_success}" if first.last_success else "it has never succeeded"
    if first.waiting:
        return f"a run of sync {first.name} does not begin: {first.waiting} ({since}){more}"
    return f"sync {first.name} failed: {first.message or 'its pod did not say why'} ({since}){more}"


def _finding(reason: Reason, message: str, *, holds: bool | None) -> Finding:
    return finding(ConditionType.SYNCS_HEALTHY, holds=holds, reason=reason, message=message)
