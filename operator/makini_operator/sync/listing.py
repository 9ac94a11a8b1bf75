"""Reading a whole list by page number while it changes.

**With a cursor** the list is read newest change first. A record that changes meanwhile moves to the front and pushes
the others towards the end: they are met again, never missed. Oldest first, it would leave a gap that the next page
jumps over. Four things are left:

* *Something left the list* (a deletion pulls the rest forward). Then `total` shrinks between two pages, by at most as
  many places as the list moved; that many places are read again before going on.
* *Something changed after its old place was due and its new place was passed.* It is at the front: the front is read
  again until a page shows nothing that was not seen, and by then at least `total` records were seen in this reading.
* *Something left, and something else came in far behind*, so that `total` stood still. A list of 2 to 20 pages is read
  until two readings in a row agree (`agreement`). In a longer one this can hide a record until the next comparison.
* *The cursor* is the newest change of the very first page. Whatever changed later is not older, and comes again.

**Without a cursor** nothing is known of the order. A reading counts only if `total` stood still, no key came twice and
as many keys came as `total` says, and here, too, two of them have to agree; else it is repeated from the start.

Nothing is taken for gone that a second reading, by the same object, was not asked for as well (`entity_run`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from makini_operator.sync.agreement import Agreement
from makini_operator.sync.envelope import Page, Record
from makini_operator.sync.errors import NotWhole

logger = logging.getLogger(__name__)

_ROUNDS = 20  # readings of the front after the last page
_READINGS = 6  # of a list from its start
_SPARE = 20  # pages that may be read again, beside as many as the list has


class Seen(Enum):
    """What was known of a record when it came."""

    NEW = "new"
    CHANGED = "changed"  # seen before, in an older version
    SAME = "same"


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Where records are put. `begin` a reading, and get its number; `count` is how many different keys came in it.

    `forget` what came first in the reading of that number or later, but not in this one.
    """

    begin: Callable[[], int]
    put: Callable[[Record], Seen]
    count: Callable[[], int]
    forget: Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A list that was read whole: what changed before `newest` was seen. `pages` of all readings so far."""

    newest: datetime | None
    total: int
    pages: int
    repeated: int  # pages that were read again because the list moved


class Listing:
    """Reads one list, as often as asked. `read` returns a page that is whole in itself."""

    def __init__(self, name: str, *, read: Callable[[int], Page], shelf: Shelf) -> None:
        self._name = name
        self._read = read
        self._shelf = shelf
        self._agreement = Agreement()
        self._pages = 0
        self._repeated = 0
        self._spent = 0  # of the pages that may be read again in one reading
        self._per_page = 0

    def newest_first(self) -> Proof:
        """Read a list that is sorted by its cursor, newest first.

        Raises:
            NotWhole: it is not sorted so, or moves too fast, or fewer records came than it says to have.
        """
        newest, total = None, 0
        for reading in range(_READINGS):
            start, total = self._once()
            newest = start if reading == 0 else newest
            # Records of one instant may come in another order for each page, so that some are shown twice and others
            # not at all: then too few came in this reading, whatever others have brought.
            if self._shelf.count() < total:
                self._agreement.broken()
                logger.info("%s: %d of %d records came: reading it again", self._name, self._shelf.count(), total)
            elif self._agreement.is_reached():
                return Proof(newest=newest, total=total, pages=self._pages, repeated=self._repeated)
        if self._shelf.count() < total:
            raise NotWhole(f"{self._name} says to have {total} records and showed {self._shelf.count()}")
        raise self._too_fast()

    def _once(self) -> tuple[datetime | None, int]:
        """Read from the newest to the oldest record; return the newest change, and how many records there are to be."""
        self._begin()
        first = self._page(1)
        newest = first.records[0].changed if first.records else None
        self._agreement.begin(newest=newest)
        self._take(first, before=None, newest=newest)
        taken, total, number = first, first.total, 2
        while number <= taken.last:
            page = self._page(number)
            if page.total < total:
                number, total = self._step_back(number, total - page.total, page), page.total
                continue
            page = self._unless_repeated(page, taken)
            self._take(page, before=taken.records[-1] if taken.records else None, newest=newest)
            taken, total, number = page, page.total, number + 1
        return newest, self._read_front_again() if number > 2 else total  # noqa: PLR2004 - one page is one instant

    def in_any_order(self) -> Proof:
        """Read a list of unknown order.

        Raises:
            NotWhole: it changed during each of several readings.
        """
        start: int | None = None
        for _ in range(_READINGS):
            number = self._begin()
            start = number if start is None else start
            self._agreement.begin(newest=None)
            total = self._stands_still()
            if total is None or self._shelf.count() != total:
                self._agreement.broken()
            elif self._agreement.is_reached():
                self._shelf.forget(start)
                return Proof(newest=None, total=total, pages=self._pages, repeated=self._repeated)
            logger.info("%s: reading it again from the start, to see the same twice", self._name)
        raise NotWhole(
            f"{self._name} changed, or repeated records, in each of {_READINGS} readings: "
            "nothing proves that all was seen"
        )

    def _stands_still(self) -> int | None:
        total, came, number, last = None, 0, 1, 1
        while number <= last:
            page = self._page(number)
            self._put(page)
            came += len(page.records)
            if total not in {None, page.total} or self._shelf.count() != came:
                return None
            total, last, number = page.total, page.last, number + 1
        return total

    def _begin(self) -> int:
        self._spent = 0
        return self._shelf.begin()

    def _page(self, number: int) -> Page:
        page = self._read(number)
        self._pages += 1
        self._per_page = self._per_page or page.per_page
        if page.per_page != self._per_page:
            raise NotWhole(
                f"{self._name}: pages of {self._per_page} records became pages of {page.per_page} on the way"
            )
        return page

    def _step_back(self, number: int, left: int, page: Page) -> int:
        steps = -(-left // page.per_page)
        self._spend(steps, page)
        logger.info("%s: %d records left the list while it was read: %d pages again", self._name, left, steps)
        return max(1, number - steps)

    def _spend(self, pages: int, page: Page) -> None:
        self._repeated += pages
        self._spent += pages
        if self._spent > page.last + _SPARE:
            raise self._too_fast()

    def _unless_repeated(self, page: Page, before: Page) -> Page:
        """The page, read again if it repeats the one before it; raises NotWhole when it still does."""
        for _ in range(2):
            keys = [record.key for record in page.records]
            if page.number == before.number or not keys or keys != [record.key for record in before.records]:
                return page
            self._spend(1, page)
            page = self._page(page.number)
            if page.total < before.total:
                break
        raise NotWhole(f"page {page.number} of {self._name} repeats page {before.number}")

    def _put(self, page: Page) -> list[Seen]:
        self._agreement.see(page)
        return [self._shelf.put(record) for record in page.records]

    def _take(self, page: Page, *, before: Record | None, newest: datetime | None) -> bool:
        """Put a page on the shelf; True if all of it was there."""
        bound = before.changed if before else None
        above: datetime | None = None
        is_known = True
        for record, seen in zip(page.records, self._put(page), strict=True):
            changed = _changed(record)
            if above is not None and changed > above:
                raise self._not_sorted(page.number, record)
            # Newer than the end of the page before it can only be what was seen there, or has changed since the start.
            if seen is Seen.NEW and bound and newest and bound < changed <= newest:
                raise self._not_sorted(page.number, record)
            above, is_known = changed, is_known and seen is Seen.SAME
        return is_known

    def _not_sorted(self, number: int, record: Record) -> NotWhole:
        return NotWhole(
            f"page {number} of {self._name} is not sorted by change, newest first (record {record.key!r}), so a change "
            f"during the reading could be missed; read it whole each time with --no-cursor {self._name}"
        )

    def _read_front_again(self) -> int:
        """Read the first pages until the very first shows nothing new; return the total it names."""
        for _ in range(_ROUNDS):
            number, is_known, is_quiet, total = 1, False, False, 0
            while not is_known:
                page = self._page(number)
                if number > 1:
                    self._spend(1, page)
                is_known = self._take(page, before=None, newest=None) or number >= page.last
                # A single page that is all there was is one instant: it needs no second look.
                is_quiet = number == 1 and is_known
                total, number = page.total, number + 1
            if is_quiet:
                return total
        raise self._too_fast()

    def _too_fast(self) -> NotWhole:
        return NotWhole(f"{self._name} changes faster than it can be read: try larger pages, or a quieter hour")


def _changed(record: Record) -> datetime:
    assert record.changed is not None, "only entities with a cursor are read newest first"  # noqa: S101
    return record.changed
