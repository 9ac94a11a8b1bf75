"""Whether two readings of a list, one after the other, showed the same records. Pure.

One reading of several pages proves less than it seems to: while a record leaves a page that was read already and
another one comes in behind, each place between them moves by one, a record slips from a page that is still to come to
one that is done, and neither the total nor any key says so. A second reading in which that happens to the same record
is not impossible, but no accident any more. A single page is one answer of the source, and needs no second.
"""

from __future__ import annotations

from datetime import datetime

from makini_operator.sync.envelope import Page

LONGEST = 20  # pages; a longer list is not read twice, for what it costs


class Agreement:
    """Keeps the keys of the last two readings, while they are short."""

    def __init__(self) -> None:
        self._bound: datetime | None = None
        self._last: set[str] | None = None  # the keys of the reading before, if that was whole
        self._here: set[str] = set()
        self._moved: set[str] = set()
        self._pages = 0

    def begin(self, *, newest: datetime | None) -> None:
        """Begin a reading; the `newest` change that the first one began with is the bound of all that follow."""
        self._bound = self._bound or newest
        self._here, self._moved, self._pages = set(), set(), 0

    def see(self, page: Page) -> None:
        """Take note of a page."""
        self._pages = page.last
        if page.last > LONGEST:
            self._here, self._moved = set(), set()
            return
        for record in page.records:
            # What changed after the beginning may have been elsewhere before: the next run asks for it again.
            is_later = record.changed is not None and (self._bound is None or record.changed > self._bound)
            (self._moved if is_later else self._here).add(record.key)

    def broken(self) -> None:
        """Forget a reading that came to nothing."""
        self._last = None

    def is_reached(self) -> bool:
        """End a whole reading; True if it may be believed."""
        last, self._last = self._last, self._here
        if self._pages == 1 or self._pages > LONGEST:
            return True
        return last is not None and self._here <= last and last - self._here <= self._moved
