"""Who looks after which children of a connection: one keeper for each kind, for looking and for doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from makini_operator.controllers.cron_jobs import CronJobs
from makini_operator.controllers.egress import Egress
from makini_operator.controllers.readers import Readers
from makini_operator.controllers.stores import Stores
from makini_operator.controllers.sync_runs import SyncRuns
from makini_operator.controllers.world import World


@dataclass(frozen=True)
class Keepers:
    """All of them, of one world."""

    cron_jobs: CronJobs
    sync_runs: SyncRuns
    egress: Egress
    readers: Readers
    stores: Stores

    @classmethod
    def of(cls, world: World) -> Self:
        """The keepers of this world's children."""
        return cls(CronJobs(world), SyncRuns(world), Egress(world), Readers(world), Stores(world))
