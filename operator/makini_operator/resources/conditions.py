"""Conditions, as `kubectl wait`, Flux, Argo CD and Helm read them.

Guarantees: `lastTransitionTime` moves only when the status of a condition changes, so a
status that says the same is byte for byte the same and is not written again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from makini_operator.resources.base import Model
from makini_operator.resources.reasons import ConditionType, Reason

MESSAGE_LIMIT = 1024


class ConditionStatus(StrEnum):
    """The three answers a condition can give."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One observed aspect of a resource."""

    type: str = Field(max_length=64, description="What is being judged, for example Ready.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(
        max_length=64, description="One word from a fixed list for programs; docs/reasons.md explains each."
    )
    message: str = Field(
        max_length=MESSAGE_LIMIT, description="What is the case and, if something is wrong, what to do."
    )
    last_transition_time: str = Field(
        max_length=40,
        description="When the status of this condition last changed.",
        json_schema_extra={"format": "date-time"},
    )
    observed_generation: int | None = Field(
        default=None,
        description="The generation of the resource that was judged.",
        json_schema_extra={"format": "int64"},
    )


class Finding(Model):
    """A condition before it is compared with what the status already says."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str


def finding(kind: ConditionType, *, holds: bool | None, reason: Reason, message: str) -> Finding:
    """A judgement; `holds=None` means unknown."""
    status = ConditionStatus.UNKNOWN if holds is None else ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    return Finding(type=kind, status=status, reason=reason, message=message)


def merge(
    old: Iterable[Condition], findings: Iterable[Finding], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions to show: exactly `findings`, each keeping its transition time when its status did not change."""
    before = {condition.type: condition for condition in old}
    return tuple(_settle(before.get(found.type), found, generation, now) for found in findings)


def find(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """The condition of this type, if the status shows one."""
    return next((condition for condition in conditions if condition.type == kind), None)


def timestamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it: UTC, seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _settle(old: Condition | None, found: Finding, generation: int, now: datetime) -> Condition:
    kept = old is not None and old.status == found.status
    return Condition(
        type=found.type,
        status=found.status,
        reason=found.reason,
        message=_bounded(found.message),
        last_transition_time=old.last_transition_time if kept and old else timestamp(now),
        observed_generation=generation,
    )


def _bounded(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"
