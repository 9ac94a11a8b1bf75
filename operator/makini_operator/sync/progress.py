"""What somebody who waits sees: a log line every few seconds, and on a terminal a bar."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO

from makini_operator.sync.envelope import Page

logger = logging.getLogger(__name__)

_WIDTH = 30  # characters of the bar


class Progress:
    """Tells how far the reading of an entity is. `every` is in seconds."""

    def __init__(
        self, *, every: float = 5.0, terminal: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every = every
        self._clock = clock
        self._terminal = terminal
        self._entity = ""
        self._started = self._said = clock()
        self._records = 0
        self._has_bar = False

    def start(self, entity: str) -> None:
        """Begin with an entity."""
        self._entity, self._records = entity, 0
        self._started = self._said = self._clock()

    def page(self, page: Page) -> None:
        """Take note of a page that was read."""
        self._records += len(page.records)
        now = self._clock()
        rate = self._records / max(now - self._started, 0.001)
        if self._terminal:
            part = min(1.0, page.number / page.last)
            bar = "#" * round(part * _WIDTH)
            so_far = f"{page.number}/{page.last} pages, {self._records} records, {rate:.0f}/s"
            self._draw(f"{self._entity} [{bar:<{_WIDTH}}] {so_far}")
        if now - self._said >= self._every:
            self._said = now
            self.clear()
            logger.info(
                "%s: page %d of %d, %d records, %.0f records/s",
                self._entity,
                page.number,
                page.last,
                self._records,
                rate,
            )

    def tell(self, text: str) -> None:
        """Say what is done now, for what has no pages."""
        self.clear()
        logger.info("%s: %s", self._entity, text)

    def clear(self) -> None:
        """Take the bar from the terminal, so that a line can be written."""
        if self._terminal and self._has_bar:
            self._terminal.write("\r\x1b[K")
            self._terminal.flush()
            self._has_bar = False

    def _draw(self, text: str) -> None:
        if self._terminal:
            self._terminal.write(f"\r\x1b[K{text}")
            self._terminal.flush()
            self._has_bar = True


def terminal() -> TextIO | None:
    """Return the terminal that errors go to, if they go to one."""
    return sys.stderr if sys.stderr.isatty() else None
