"""Waiting for a dataset's lock: a run that somebody asks for may come while a scheduled one is still at work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from makini_operator.sync.destinations.base import Destination
from makini_operator.sync.errors import Locked

logger = logging.getLogger(__name__)

ASK_EVERY = 2.0  # seconds
TELL_EVERY = 60.0  # seconds


@contextmanager
def locked_within(
    wait: timedelta,
    destination: Destination,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the destination's lock; ask again until `wait` is over.

    Nothing here is in the way of a signal: the program ends from another thread.

    Raises:
        Locked: another run is still at work when `wait` is over; at once if it is nothing.
        SyncError: whatever else `Destination.lock` raises, at once.
    """
    until = clock() + wait.total_seconds()
    told: float | None = None
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(destination.lock())
                break
            except Locked:
                now = clock()
                if now >= until:
                    raise
                if told is None or now - told >= TELL_EVERY:
                    told = now
                    logger.info(
                        "another run works on dataset %r: waiting up to %.0f s more", destination.dataset, until - now
                    )
            pause(min(ASK_EVERY, until - now))
        yield
