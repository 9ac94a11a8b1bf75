"""A lock that is a file on the volume: the kernel lets go of it when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from makini_operator.sync.destinations.base import locked
from makini_operator.sync.errors import DestinationFailed, Locked, LockLost


class FileLock:
    """An exclusive lock on a file, which is never deleted: two processes could hold locks on two files of one name."""

    def __init__(self, path: Path, dataset: str) -> None:
        self._path = path
        self._dataset = dataset
        self._file: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; raises Locked at once if another process does."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except OSError as error:
            raise DestinationFailed(f"the folder {self._path.parent} cannot be written to: {error.strerror}") from None
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Locked(locked(self._dataset)) from None
            yield
        finally:
            os.close(self._file)
            self._file = None

    def check(self) -> None:
        """Raise LockLost unless the file that is locked is the one of that name."""
        try:
            is_ours = self._file is not None and os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            raise LockLost(f"the lock file of dataset {self._dataset!r} was removed or replaced during the run")
