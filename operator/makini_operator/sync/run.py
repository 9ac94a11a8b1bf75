"""One run: the entities one after another, under the dataset's lock. The order of steps is the package's docstring."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from makini_operator.sync.destinations.base import Destination, State
from makini_operator.sync.entities import Entity
from makini_operator.sync.envelope import Page, read_page
from makini_operator.sync.errors import BadSettings, DestinationFailed, NotWhole, SyncError, TooManyGone
from makini_operator.sync.listing import Listing, Proof
from makini_operator.sync.load import Stamp, load
from makini_operator.sync.plan import Plan, Wishes, loading_state, next_state, plan
from makini_operator.sync.progress import Progress
from makini_operator.sync.redact import log_unexpected
from makini_operator.sync.report import EntityResult, Report
from makini_operator.sync.rows import KEY, PARENT
from makini_operator.sync.source import Source
from makini_operator.sync.spool import Spool
from makini_operator.sync.times import format_time
from makini_operator.sync.waiting import locked_within

logger = logging.getLogger(__name__)

DATASET = "_dataset"  # the state that is the dataset's own
_READINGS = 3  # of a page that is not whole
_FEW = 10  # records; below it no share of them says anything


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
            _EntityRun(self._job, entity, result=result, state=state, spool=spool, run=self._report.run).run(
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


class _EntityRun:
    def __init__(self, job: Job, entity: Entity, *, result: EntityResult, state: State, spool: Spool, run: str) -> None:
        self._job, self._entity, self._result = job, entity, result
        self._state, self._spool, self._run_id = state, spool, run
        self._now = job.clock()
        self._source_time: datetime | None = None
        self._warned = False

    def run(self, source: Source, destination: Destination, progress: Progress) -> None:
        job = self._job
        planned = plan(self._entity, self._state, job.wishes, connection=job.connection, now=self._now)
        proof = self._pull(planned, source, progress)
        self._result.read, self._result.pages, self._result.compared = (
            self._spool.count(),
            proof.pages,
            planned.is_whole,
        )
        self._result.loaded = self._compare(planned, destination)
        self._refuse_many_gone(planned)
        after = next_state(
            planned,
            self._state,
            newest=proof.newest,
            source_time=self._source_time or self._now,
            connection=job.connection,
            now=self._now,
        )
        self._result.cursor = after.get("cursor", "")
        if self._result.loaded:
            self._load(planned, destination, progress)
        if planned.compares:
            self._result.gone = self._mark_gone(destination)
        if self._has_news(planned, after):
            destination.check_lock()
            destination.write_state(self._entity.name, after)
        progress.tell(
            f"done: {self._result.read} records read, {self._result.loaded} new or changed, {self._result.gone} gone"
        )

    def _has_news(self, planned: Plan, after: State) -> bool:
        return bool(self._result.loaded or planned.is_whole or after != self._state)

    def _pull(self, planned: Plan, source: Source, progress: Progress) -> Proof:
        entity = self._entity
        query = {"per_page": str(self._job.page_size)} if entity.sized else {}
        if entity.cursor:
            query[f"sort[{entity.cursor}]"] = "1"  # descending, by the vendor's files
            if planned.lower is not None:
                query[f"filter[{entity.cursor}:gteq]"] = format_time(planned.lower)

        def read(number: int) -> Page:
            page = self._read(source, number, query)
            self._warn_unfiltered(page, planned)
            progress.page(page)
            return page

        listing = Listing(entity.name, read=read, shelf=self._spool.shelf)
        return listing.newest_first() if entity.cursor else listing.in_any_order()

    def _read(self, source: Source, number: int, query: dict[str, str]) -> Page:
        """One page, read again a few times when it is not whole: a fault may pass, but is never taken for the end."""
        for attempt in range(1, _READINGS + 1):
            answer = source.get(self._entity.path, query | {"page": str(number)})
            self._source_time = self._source_time or answer.date
            try:
                return read_page(answer.body, number=number, entity=self._entity)
            except NotWhole as error:
                if attempt == _READINGS:
                    raise
                logger.warning("%s; reading it again", error)
                source.wait(attempt)
        raise AssertionError("the last reading returns or raises")

    def _warn_unfiltered(self, page: Page, planned: Plan) -> None:
        lower = planned.lower.replace(microsecond=0) if planned.lower else None
        oldest = page.records[-1].changed if page.records else None
        if lower and oldest and oldest < lower and not self._warned:
            self._warned = True
            logger.warning(
                "%s: the source does not filter by change: more is read than was asked for", self._entity.name
            )

    def _compare(self, planned: Plan, destination: Destination) -> int:
        keys = None if planned.is_whole else self._spool.keys()
        known = destination.known(self._entity.table, keys=keys, by=KEY)
        if not planned.believes:
            logger.info(
                "%s: the last load was interrupted: everything since the cursor is loaded again", self._entity.name
            )
            known = ((key, None, is_gone) for key, _, is_gone in known)
        return self._spool.compare(known)

    def _refuse_many_gone(self, planned: Plan) -> None:
        alive = self._spool.alive()
        if not planned.compares or alive < _FEW or self._job.accepts_gone:
            return
        gone = sum(map(len, self._spool.gone()))
        if gone * 2 > alive:
            raise TooManyGone(
                f"{gone} of {alive} records of {self._entity.name} are missing at the source: is it another system, or "
                "may the connection not see them any more? If they are gone indeed, run once with --accept-gone"
            )

    def _load(self, planned: Plan, destination: Destination, progress: Progress) -> None:
        entity, spool = self._entity, self._spool
        progress.tell(f"loading {self._result.loaded} records")
        destination.write_state(
            entity.name, loading_state(planned, self._state, run=self._run_id, connection=self._job.connection)
        )
        stamp = Stamp(run=self._run_id, at=self._now, connection=self._job.connection)
        load(spool, entity, destination=destination, stamp=stamp, scratch=self._job.scratch)
        destination.check_lock()
        children = {table: spool.note_children(table) for table in entity.tables[1:]}
        for table, expected in {entity.table: self._result.loaded, **children}.items():
            arrived = destination.arrived(table, self._run_id)
            if arrived != expected:
                raise DestinationFailed(
                    f"{arrived} of {expected} rows arrived in table {table}; the next run loads them again"
                )
        destination.tidy({table: spool.columns(table) for table in entity.tables})
        if not planned.is_first or not planned.believes:
            for table in children:
                self._mark_children(destination, table)

    def _mark_children(self, destination: Destination, table: str) -> None:
        """Mark the lines that a changed record has no more; their record's new version is loaded already."""
        known = destination.known(table, keys=self._spool.keys(), by=PARENT)
        gone = [key for key, _, is_gone in known if not is_gone and not self._spool.has_child(table, key)]
        if gone:
            destination.mark_gone(table, iter([gone]), by=KEY, at=self._now)

    def _mark_gone(self, destination: Destination) -> int:
        for table in self._entity.tables[1:]:
            destination.mark_gone(table, self._spool.gone(), by=PARENT, at=self._now)
        # The record's own row last: after a crash in between it is still found, and all is marked again.
        return destination.mark_gone(self._entity.table, self._spool.gone(), by=KEY, at=self._now)


def without_cursor(entity: Entity) -> Entity:
    """Return the entity as one that is read whole each time."""
    return replace(entity, cursor=None)
