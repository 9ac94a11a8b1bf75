"""Workloads that are restarted after a rotation: the annotation that does it, and when a rollout is complete.

The annotation stands in the pod template, says for which token it is, and has the connection's
name in its key, so that two connections may restart one workload. Completeness is what
`kubectl rollout status` takes for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from makini_operator.lifecycle.observation import WorkloadState, WorkloadView
from makini_operator.manifests.ownership import Manifest
from makini_operator.resources.base import GROUP
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.token import TargetKind

RESTARTED = f"restarted.{GROUP}"
"""Prefix of the annotation; the admission fence lets the operator change nothing else of a workload."""
ROLLOUT_LIMIT = timedelta(minutes=10)
"""After that, a rollout without a deadline of its own is called stuck; a Deployment has one (default: 10 minutes)."""
_PAUSED = "it is paused: resume it (kubectl rollout resume)"
_ON_DELETE = "its updateStrategy is OnDelete: delete its pods, or choose RollingUpdate"


def restart_patch(connection: MakiniConnection, attempt: int, now: datetime) -> Manifest:
    """The merge patch that restarts a workload for this token."""
    value = f"{_mark(connection, attempt)} {timestamp(now)}"
    return {"spec": {"template": {"metadata": {"annotations": {_key(connection): value}}}}}


def view(kind: TargetKind, found: Manifest | None, connection: MakiniConnection, now: datetime) -> WorkloadView:
    """How the restart of this workload stands for the token that the status records as wanted."""
    if found is None or found["metadata"].get("deletionTimestamp"):
        return WorkloadView(WorkloadState.DONE, "it does not exist")
    token = connection.status.token
    attempt = token.rotation.attempt if token and token.rotation else 0
    mark, _, at = _annotation(found, connection).partition(" ")
    if mark != _mark(connection, attempt):
        return WorkloadView(WorkloadState.PENDING, "its restart comes next")
    status = found.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(found["metadata"].get("generation") or 0):
        return WorkloadView(WorkloadState.ROLLING, "its rollout begins")
    progress = _PROGRESS[kind](found["spec"], status)
    is_overdue = kind is not TargetKind.DEPLOYMENT and _age(at, now) > ROLLOUT_LIMIT
    if progress.state is WorkloadState.ROLLING and is_overdue:
        return WorkloadView(WorkloadState.STUCK, progress.why)
    return progress


def _deployment(spec: Manifest, status: Manifest) -> WorkloadView:
    wanted = _number(spec, "replicas", 1)
    updated, total, available = (_number(status, key) for key in ("updatedReplicas", "replicas", "availableReplicas"))
    if updated >= wanted and total <= updated and available >= updated:
        return _done()
    if spec.get("paused"):
        return WorkloadView(WorkloadState.STUCK, _PAUSED)
    why = f"{min(available, updated)} of {wanted} new pods are available, {max(0, total - updated)} old ones are left"
    late = [c for c in status.get("conditions") or [] if c.get("reason") == "ProgressDeadlineExceeded"]
    return WorkloadView(WorkloadState.STUCK if late else WorkloadState.ROLLING, why)


def _stateful_set(spec: Manifest, status: Manifest) -> WorkloadView:
    wanted = _number(spec, "replicas", 1)
    updated, ready = _number(status, "updatedReplicas"), _number(status, "readyReplicas")
    strategy = spec.get("updateStrategy") or {}
    partition = _number(strategy.get("rollingUpdate") or {}, "partition")
    is_new = status.get("currentRevision") == status.get("updateRevision")
    if (is_new or updated >= wanted) and ready >= wanted:
        return _done()
    if strategy.get("type") == "OnDelete":
        return WorkloadView(WorkloadState.STUCK, _ON_DELETE)
    if partition:
        why = f"its updateStrategy keeps pods below {partition} back (partition): set it to 0"
        return WorkloadView(WorkloadState.STUCK, why)
    return WorkloadView(WorkloadState.ROLLING, f"{updated} of {wanted} pods are new, {ready} are ready")


def _daemon_set(spec: Manifest, status: Manifest) -> WorkloadView:
    wanted, updated = _number(status, "desiredNumberScheduled"), _number(status, "updatedNumberScheduled")
    available = _number(status, "numberAvailable")
    if updated >= wanted and available >= wanted:
        return _done()
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return WorkloadView(WorkloadState.STUCK, _ON_DELETE)
    return WorkloadView(WorkloadState.ROLLING, f"{updated} of {wanted} pods are new, {available} are available")


_PROGRESS = {
    TargetKind.DEPLOYMENT: _deployment,
    TargetKind.STATEFUL_SET: _stateful_set,
    TargetKind.DAEMON_SET: _daemon_set,
}


def _done() -> WorkloadView:
    return WorkloadView(WorkloadState.DONE)


def _number(parent: Manifest, key: str, default: int = 0) -> int:
    found = parent.get(key)
    return default if found is None else int(found)


def _annotation(found: Manifest, connection: MakiniConnection) -> str:
    template: dict[str, Any] = (found["spec"].get("template") or {}).get("metadata") or {}
    return str((template.get("annotations") or {}).get(_key(connection), ""))


def _key(connection: MakiniConnection) -> str:
    return f"{RESTARTED}/{connection.metadata.name}"


def _mark(connection: MakiniConnection, attempt: int) -> str:
    return f"{connection.status.connection_id}/{attempt}"


def _age(at: str, now: datetime) -> timedelta:
    try:
        return now - datetime.fromisoformat(at)
    except (ValueError, TypeError):
        return timedelta(0)
