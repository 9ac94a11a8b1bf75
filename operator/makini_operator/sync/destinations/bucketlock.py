"""A lock in a bucket: an object that its holder writes anew every few seconds, always on the version that it knows.

No clock is compared with another: a run that finds the lock watches it for a while and takes it over only if its
version did not change meanwhile. A holder that was paused for so long notices at its next renewal, and before every
write of the cursor, that the version is another's.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from makini_operator.sync.destinations.base import locked
from makini_operator.sync.destinations.objects import Bucket
from makini_operator.sync.errors import DestinationFailed, Locked, LockLost

logger = logging.getLogger(__name__)

RENEW_EVERY = 10.0  # seconds
TAKE_OVER_AFTER = 45.0  # seconds without a renewal


class BucketLock:
    """The lock of one dataset in a bucket."""

    def __init__(
        self,
        objects: Bucket,
        name: str,
        dataset: str,
        *,
        renew_every: float = RENEW_EVERY,
        take_over_after: float = TAKE_OVER_AFTER,
    ) -> None:
        self._objects = objects
        self._name = name
        self._dataset = dataset
        self._renew_every = renew_every
        self._take_over_after = take_over_after
        self._tag: str | None = None
        self._guard = threading.Lock()
        self._ended = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; raises Locked when another run renews it."""
        self._ended.clear()
        self._tag = self._take()
        renewing = threading.Thread(target=self._renew, name="lock", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._ended.set()
            renewing.join()
            self._give_back()

    def check(self) -> None:
        """Raise LockLost unless a renewal succeeds now."""
        with self._guard:
            self._tag = self._tag and self._objects.put_if(self._name, _content(), tag=self._tag)
            if self._tag is None:
                raise LockLost(
                    f"another run has taken over dataset {self._dataset!r}: this one was not heard of for long"
                )

    def _take(self) -> str:
        found = self._objects.get(self._name)
        if found and found[0] != b"free":
            self._watch(found[1])
        tag = self._objects.put_if(self._name, _content(), tag=found[1] if found else None)
        if tag is None:
            raise Locked(locked(self._dataset))
        return tag

    def _watch(self, tag: str) -> None:
        logger.info(
            "dataset %s is locked: watching for %.0f s whether its run is alive", self._dataset, self._take_over_after
        )
        until = time.monotonic() + self._take_over_after
        while time.monotonic() < until:
            self._ended.wait(min(self._renew_every / 2, self._take_over_after))
            now = self._objects.get(self._name)
            if now is None or now[1] != tag:
                raise Locked(locked(self._dataset))

    def _renew(self) -> None:
        while not self._ended.wait(self._renew_every):
            try:
                self.check()
            except LockLost:
                return  # noticed by the run before its next write
            except DestinationFailed as error:
                logger.warning("the lock could not be renewed, trying again: %s", error)

    def _give_back(self) -> None:
        with self._guard:
            if self._tag is not None:
                self._objects.put_if(self._name, b"free", tag=self._tag)
                self._tag = None


def _content() -> bytes:
    return secrets.token_hex(16).encode()
