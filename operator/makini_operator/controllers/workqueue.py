"""A queue of keys to look at: each key by one worker at a time, failures later and later.

Guarantees: a key added while it is being worked on is worked on once more afterwards; a key
added many times while it waits is worked on once; no more than `workers` keys are worked on
at a time; an unexpected error costs one reconcile, never the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

from makini_operator.kube.lease import LeadershipLost

_logger = logging.getLogger(__name__)

FIRST_BACKOFF = timedelta(milliseconds=200)
LONGEST_BACKOFF = timedelta(minutes=1)

Reconcile = Callable[[str], Awaitable[timedelta | None]]


class WorkQueue:
    """Runs `reconcile(key)`, which says how long to wait before it wants to be asked again (None: until added)."""

    def __init__(self, reconcile: Reconcile, *, workers: int, on_failure: Callable[[], None] = lambda: None) -> None:
        self._reconcile = reconcile
        self._workers = workers
        self._on_failure = on_failure
        self._ready: asyncio.PriorityQueue[tuple[bool, int, str]] = asyncio.PriorityQueue()
        self._added = itertools.count()
        self._waiting: set[str] = set()
        self._active: set[str] = set()
        self._again: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._closing = asyncio.Event()
        self._idle = asyncio.Event()

    def __len__(self) -> int:
        """How many keys wait to be worked on, those with a delay not counted."""
        return len(self._waiting)

    def add(self, key: str, *, first: bool = False) -> None:
        """Look at `key` as soon as a worker is free; `first`: before those that were added without."""
        self._cancel_timer(key)
        if key in self._active:
            self._again.add(key)
        elif first or key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait((not first, next(self._added), key))

    def add_after(self, key: str, delay: timedelta) -> None:
        """Look at `key` after `delay`, unless it is added earlier."""
        self._cancel_timer(key)
        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(max(0.0, delay.total_seconds()), self.add, key)

    async def close(self, *, within: timedelta) -> None:
        """Take up nothing new, and let what is being worked on come to its end."""
        self._closing.set()
        if self._active:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), within.total_seconds())

    async def run(self) -> None:
        """Work until cancelled; whatever is being worked on is cancelled with it."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _work(self) -> None:
        while True:
            _, _, key = await self._ready.get()
            if self._closing.is_set() or key not in self._waiting:  # not waiting: it was added twice, and is done
                continue
            self._waiting.discard(key)
            self._active.add(key)
            try:
                await asyncio.sleep(0)  # a settled one needs no I/O: thousands of them would hold up the whole loop
                await self._attempt(key)
            finally:
                self._active.discard(key)
                if self._closing.is_set() and not self._active:
                    self._idle.set()
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _attempt(self, key: str) -> None:
        try:
            after = await self._reconcile(key)
        except LeadershipLost as error:
            _logger.info("left as it is: %s", error, extra={"key": key})
            return
        except Exception:
            self._on_failure()
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = backoff(failures, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF)
            _logger.exception("reconcile failed; tried again in %.1f s", delay.total_seconds(), extra={"key": key})
            self.add_after(key, delay)
            return
        self._failures.pop(key, None)
        if after is not None:
            self.add_after(key, after)

    def _cancel_timer(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()


def backoff(failures: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after this many failures in a row: doubling, with jitter of a quarter either way."""
    plain = min(first * 2 ** min(failures - 1, 20), longest)
    jitter: float = random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
    return timedelta(seconds=plain.total_seconds() * jitter)
