"""How a run of a sync ended, read from its Job and from what its pod said with its last words.

The words come from a pod: they are taken for text of limited length, and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from makini_operator.lifecycle.observation import RunKind
from makini_operator.manifests.cron_job import LABELS
from makini_operator.manifests.ownership import CONNECTION, Manifest, controller_of
from makini_operator.manifests.sync import LONGEST_RUN
from makini_operator.resources.base import ObjectMeta
from makini_operator.resources.sync_status import MESSAGE_LIMIT

SELECTOR = LABELS[RunKind.SYNC]
"""Label selector of the Jobs of all syncs."""
_LONGEST_WORDS = 8192
_KILLED = 137
_USAGE = "Error: "
"""How the command line begins when it refuses its arguments, which stand in the pod for all to see."""


@dataclass(frozen=True)
class RunRecord:
    """What the operator remembers of a sync's Job; `owner_uid`: of the CronJob that controls it."""

    metadata: ObjectMeta
    owner_uid: str
    finished_at: datetime | None
    """None: it has not ended."""
    has_succeeded: bool
    why: str
    """Reason of a failed Job, as Kubernetes names it."""
    due_at: datetime
    """When the Job was made."""
    is_at_work: bool
    """A pod of it runs, or none waits to."""
    has_had_pods: bool
    """A pod of it has come to an end."""


def record(manifest: Manifest) -> RunRecord:
    """What is remembered of a Job as the API server returns it."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    ended = {c["type"]: c for c in status.get("conditions") or [] if c.get("status") == "True"}
    condition = ended.get("Complete") or ended.get("Failed")
    has_had_pods = any(status.get(count) for count in ("failed", "succeeded"))
    at = (status.get("completionTime") or condition.get("lastTransitionTime")) if condition else None
    return RunRecord(
        metadata=ObjectMeta(
            name=meta["name"],
            namespace=meta.get("namespace", ""),
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
        ),
        owner_uid=str(controller_of(manifest).get("uid", "")),
        finished_at=datetime.fromisoformat(at) if at else None,
        has_succeeded="Complete" in ended,
        why=str((ended.get("Failed") or {}).get("reason", "")),
        due_at=datetime.fromisoformat(meta["creationTimestamp"]),
        is_at_work=bool(status.get("ready") or (has_had_pods and not status.get("active"))),
        has_had_pods=has_had_pods,
    )


def pods_selector(run: RunRecord) -> str:
    """Label selector of the pods of a run; the two marks are such that nobody else may set them."""
    return f"batch.kubernetes.io/job-name={run.metadata.name},{CONNECTION},{SELECTOR}"


def last_words(pods: list[Manifest], run: RunRecord, *, awaited: str | None = None) -> str:
    """What a run did, or why it failed, in one sentence; empty: nobody knows any more.

    `awaited`: what a run was last seen to wait for, which is why this one has not begun.
    """
    ends = [end for pod in pods if controller_of(pod).get("uid") == run.metadata.uid and (end := _end(pod))]
    if run.why == "DeadlineExceeded":
        hours = LONGEST_RUN // 3600
        if awaited:
            return _plain(f"it was ended after {hours} hours without having begun: {awaited}")
        return f"it took more than {hours} hours and was ended: sync fewer entities at a time, or a shorter window"
    if not ends:
        return "" if run.has_succeeded else f"its pod is gone ({run.why or 'no reason given'})"
    end = max(ends, key=lambda each: str(each.get("finishedAt", "")))
    return _said(str(end.get("message") or "")[:_LONGEST_WORDS], is_success=run.has_succeeded) or _ended(end)


def awaited(pods: list[Manifest], run: RunRecord, *, since: datetime) -> str:
    """What a pod that has not begun since then waits for, in one sentence; empty: there is none."""
    if not pods and not run.has_had_pods:
        return "it has no pod: see `kubectl describe` of its Job for what refuses it"
    pending = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Pending" and _made_at(pod) <= since]
    if not pending:
        return ""
    status = pending[0]["status"]
    states = (each.get("state", {}).get("waiting") for each in status.get("containerStatuses") or [])
    waiting = next((state for state in states if state), None)
    unmet = (each for each in status.get("conditions") or [] if each.get("status") == "False" and each.get("message"))
    why = waiting or next(unmet, None) or {}
    return _plain(f"{why.get('reason') or 'no reason given'}: {why.get('message') or 'see its pod'}")


def _made_at(pod: Manifest) -> datetime:
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


def _end(pod: Manifest) -> dict[str, Any] | None:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    ended = (status.get("state", {}).get("terminated") for status in statuses if status.get("name") == "sync")
    return next((end for end in ended if end), None)


def _said(text: str, *, is_success: bool) -> str:
    """The program's result in words; empty if it is none."""
    try:
        result = json.loads(text)
        entities = [entity for entity in result["entities"] if isinstance(entity, dict)]
        if is_success:
            read, loaded, gone, lines = (
                sum(int(entity.get(key, 0)) for entity in entities) for key in ("read", "loaded", "gone", "goneLines")
            )
            marked = (f", {gone} marked as gone" if gone else "") + (f", {lines} lines marked as gone" if lines else "")
            return f"{read} records read, {loaded} written{marked}"
        reason, message = str(result["reason"]), str(result["message"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return ""
    return _plain(f"{reason}: {message}") if message else ""


def _ended(end: dict[str, Any]) -> str:
    """What Kubernetes says of a pod that gave no result."""
    reason, code = str(end.get("reason") or ""), end.get("exitCode")
    if reason == "Completed":
        return ""
    if reason == "OOMKilled" or code == _KILLED:
        return "it was killed, most likely for want of memory: raise resources.limits.memory"
    lines = [line for line in str(end.get("message") or "")[-_LONGEST_WORDS:].splitlines() if line.startswith(_USAGE)]
    if lines:  # of its log; any other line of it might repeat what only those may see who may read logs
        return _plain(f"it ended with code {code}: {lines[-1]}")
    return _plain(f"it ended with code {code} and said nothing ({reason or 'no reason given'}): see its pod's log")


def _plain(text: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"
