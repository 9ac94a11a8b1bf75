"""One run: the entities one after another, under the dataset's lock. The order of steps is the package's docstring."""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import replace

from makini_operator.sync.destinations.base import Destination, State
from makini_operator.sync.entities import Entity
from makini_operator.sync.entity_run import EntityRun
from makini_operator.sync.errors import BadSettings, SyncError
from makini_operator.sync.job import Job
from makini_operator.sync.progress import Progress
from makini_operator.sync.redact import log_unexpected
from makini_operator.sync.report import EntityResult, Report
from makini_operator.sync.source import Source
from makini_operator.sync.spool import Spool
from makini_operator.sync.waiting import locked_within

logger = logging.getLogger(__name__)

DATASET = "_dataset"  # the state that is the dataset's own


class Run:
    """One run against one source and one destination."""

    def __init__(
        self, job: Job, *, source: Source, destination: Destination, progress: Progress, report: Report
    ) -> None:
        self._job = job
        self._source = source
        self._destination = destination
        self._progress = progress
        self._report = report

    def run(self) -> None:
        """Sync every entity; what went wrong is in the report afterwards, and nothing is raised."""
        self._report.entities = [EntityResult(entity=entity.name) for entity in self._job.entities]
        try:
            with locked_within(self._job.lock_wait, self._destination):
                states = self._destination.read_state()
                self._check_owner(states.get(DATASET, {}))
                for entity, result in zip(self._job.entities, self._report.entities, strict=True):
                    error = self._sync(entity, result, states.get(entity.name, {}))
                    if error is not None and error.is_for_all:
                        break
        except SyncError as error:
            self._report.fail(error)
        self._progress.clear()
        self._report.finished = self._job.clock()

    def _sync(self, entity: Entity, result: EntityResult, state: State) -> SyncError | None:
        started = time.monotonic()
        self._progress.start(entity.name)
        spool = Spool(self._job.scratch, entity)
        try:
            EntityRun(self._job, entity, result=result, state=state, spool=spool, run=self._report.run).run(
                self._source, self._destination, self._progress
            )
        except SyncError as error:
            return self._failed(result, error)
        except (OSError, sqlite3.Error) as error:
            return self._failed(result, SyncError(f"the scratch folder {self._job.scratch} fails: {error}"))
        except Exception as error:  # noqa: BLE001 - whatever it is
            # A bug, or a library's: the run fails like any other, and the log has where.
            log_unexpected(logger, entity.name, error)
            return self._failed(result, SyncError(f"unexpected {type(error).__name__}; the log says where"))
        else:
            result.result = "Succeeded"
            return None
        finally:
            spool.close()
            result.seconds = round(time.monotonic() - started, 2)

    def _failed(self, result: EntityResult, error: SyncError) -> SyncError:
        result.result, result.reason, result.message = "Failed", error.reason, str(error)
        self._report.fail(error)
        self._progress.clear()
        logger.error("%s: %s", result.entity, error)
        return error

    def _check_owner(self, state: State) -> None:
        """Refuse a dataset that is another connection's: their records would be mixed, and marked as gone in turn."""
        owner = self._job.owner
        if state.get("owner", owner) != owner and not self._job.takes_over:
            raise BadSettings(
                f"dataset {self._destination.dataset!r} belongs to {state['owner']!r}, this run is for {owner!r}: give "
                "each connection a dataset of its own, or say --take-over if this one replaces the other for good"
            )
        wanted = {"owner": owner, "connection": self._job.connection}
        if state != wanted:
            self._destination.write_state(DATASET, wanted)


def without_cursor(entity: Entity) -> Entity:
    """Return the entity as one that is read whole each time."""
    return replace(entity, cursor=None)
