"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from makini_operator.sync.entities import Entity
from makini_operator.sync.plan import Wishes


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a run is to do.

    `owner` stays the same when a connection is closed and opened again under a new id. `lock_wait` is how long another
    run on the dataset is waited for.
    """

    entities: tuple[Entity, ...]
    connection: str
    owner: str
    wishes: Wishes
    page_size: int
    accepts_gone: bool
    takes_over: bool
    scratch: Path
    lock_wait: timedelta = timedelta()
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
