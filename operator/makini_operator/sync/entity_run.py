"""One entity of a run, from its first page to its cursor. The order of steps is the package's docstring."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from makini_operator.sync.destinations.base import Destination, Known, State
from makini_operator.sync.entities import Entity
from makini_operator.sync.envelope import Page, read_page
from makini_operator.sync.errors import DestinationFailed, NotWhole, TooManyGone
from makini_operator.sync.job import Job
from makini_operator.sync.listing import Listing, Proof
from makini_operator.sync.load import Stamp, load
from makini_operator.sync.marking import Marking
from makini_operator.sync.plan import Plan, loading_state, next_state, plan
from makini_operator.sync.progress import Progress
from makini_operator.sync.report import EntityResult
from makini_operator.sync.rows import KEY
from makini_operator.sync.source import Source
from makini_operator.sync.spool import Spool
from makini_operator.sync.times import format_time

logger = logging.getLogger(__name__)

_READINGS = 3  # of a page that is not whole


class EntityRun:
    """One entity of one run: what is read is in `spool`, what is told in `result`."""

    def __init__(self, job: Job, entity: Entity, *, result: EntityResult, state: State, spool: Spool, run: str) -> None:
        self._job, self._entity, self._result = job, entity, result
        self._state, self._spool, self._run_id = state, spool, run
        self._now = job.clock()
        self._source_time: datetime | None = None
        self._warned = False

    def run(self, source: Source, destination: Destination, progress: Progress) -> None:
        """Read, compare, load, mark; then, and only then, move the cursor.

        Raises:
            SyncError: one of these failed.
        """
        job = self._job
        planned = plan(self._entity, self._state, job.wishes, connection=job.connection, now=self._now)
        proof = self._pull(planned, source, destination, progress)
        marking = Marking(self._entity, self._spool, destination, accepts=job.accepts_gone, at=self._now)
        doubt = marking.doubt() if planned.compares else None
        marks = planned.compares and doubt is None
        result = self._result
        result.read, result.pages, result.compared = self._spool.count(), proof.pages, planned.is_whole and not doubt
        after = next_state(
            planned,
            self._state,
            newest=proof.newest,
            source_time=self._source_time or self._now,
            connection=job.connection,
            now=self._now,
            is_doubted=doubt is not None,
        )
        result.cursor = after.get("cursor", "")
        if result.loaded or (marks and self._missed(planned)):
            # Also before marks: a record whose lines alone are marked must not be believed if it comes back.
            destination.write_state(self._entity.name, self._loading(planned, self._state))
        line_doubt = self._load(planned, destination, marking, progress) if result.loaded else None
        if marks:
            result.gone, lines = marking.mark_records()
            result.gone_lines += lines
        if line_doubt:  # then the next run asks for these records' lines again
            after = self._loading(planned, after)
        if self._has_news(planned, after):
            destination.check_lock()
            destination.write_state(self._entity.name, after)
        progress.tell(f"done: {result.read} records read, {result.loaded} new or changed, {result.gone} gone")
        if error := doubt or line_doubt:
            raise error

    def _loading(self, planned: Plan, state: State) -> State:
        return loading_state(planned, state, run=self._run_id, connection=self._job.connection)

    def _pull(self, planned: Plan, source: Source, destination: Destination, progress: Progress) -> Proof:
        """Read the list and compare it with the destination; again before anything of that is taken for gone."""
        spool, listing = self._spool, self._listing(planned, source, progress)
        read = listing.newest_first if self._entity.cursor else listing.in_any_order
        proof = read()
        spool.know(self._known(planned, destination))
        if missed := self._missed(planned):
            progress.tell(f"{missed} records are missing: the list is read once more before they are marked as gone")
            # The cursor stays that of the first reading: what changed since is asked for by the next run.
            proof = replace(read(), newest=proof.newest)
        self._result.loaded = spool.compare()
        return proof

    def _missed(self, planned: Plan) -> int:
        return self._spool.count_gone() if planned.compares else 0

    def _has_news(self, planned: Plan, after: State) -> bool:
        return bool(self._result.loaded or planned.is_whole or after != self._state)

    def _listing(self, planned: Plan, source: Source, progress: Progress) -> Listing:
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

        return Listing(entity.name, read=read, shelf=self._spool.shelf)

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

    def _known(self, planned: Plan, destination: Destination) -> Iterable[Known]:
        keys = None if planned.is_whole else self._spool.keys()
        known = destination.known(self._entity.table, keys=keys, by=KEY)
        if not planned.believes:
            logger.info("%s: the last load was interrupted: all that is read is loaded again", self._entity.name)
            known = ((key, None, is_gone) for key, _, is_gone in known)
        return known

    def _load(
        self, planned: Plan, destination: Destination, marking: Marking, progress: Progress
    ) -> TooManyGone | None:
        entity, spool = self._entity, self._spool
        progress.tell(f"loading {self._result.loaded} records")
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
        if planned.is_first and planned.believes:
            return None
        self._result.gone_lines, doubt = marking.mark_lines()
        return doubt
