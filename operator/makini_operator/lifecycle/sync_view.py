"""Syncs as `plan` sees them: how their runs stand, and which were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class SyncAsk(StrEnum):
    """What a person may ask of syncs, each by an annotation of its own."""

    NOW = "now"
    """A run out of turn."""
    FULL = "full"
    """A run that reads everything of the window again."""
    ACCEPT_GONE = "accept-gone"
    """A run that marks records as gone even if they are most of them."""


@dataclass(frozen=True, order=True)
class AskedRun:
    """One run of one sync, for one request: the annotation's value."""

    sync: str
    ask: SyncAsk
    request: str


@dataclass(frozen=True)
class SyncRun:
    """The last run of a sync that has ended."""

    has_succeeded: bool
    finished_at: datetime
    message: str
    """What it did, or why it failed; empty if it did not say, or was not asked."""


@dataclass(frozen=True)
class SyncsView:
    """The syncs of the spec: their CronJobs, and how their last runs ended."""

    cron_jobs: Mapping[str, str] = field(default_factory=dict)
    """Name of the CronJob of each sync, in the order of the spec."""
    last: Mapping[str, SyncRun] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Why a run that has been due for a while has not begun."""
    look_again_at: datetime | None = None
    """When a run that has not begun will have been due for a while."""
    busy: frozenset[str] = frozenset()
    """Syncs of which a run has not ended."""
    started: frozenset[AskedRun] = frozenset()
    """Runs that this process has started because somebody asked for them."""
