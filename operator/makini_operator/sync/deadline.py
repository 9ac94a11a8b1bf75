"""A deadline for a whole request: TLS, headers and body, also of an error, however slowly they come.

The timeouts of HTTP libraries are for one read of the socket each: a source that sends a byte every few seconds keeps
to them for hours. Here a watchdog cuts the connection from another thread, so that whatever waits for it comes back. It
holds a descriptor of its own for the socket, because TLS takes the first one over.

Connecting is not covered, for there is no socket yet; it has its own timeout, for each address of the host.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Deadline:
    """Cuts the connection that was made last, and any that is made too late. For one request at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._round = 0
        self._is_over = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[Callable[[], bool]]:
        """Let the block use the connection for so long; what is yielded says whether that is over."""
        with self._lock:
            self._round += 1
            self._is_over = False
            timer = threading.Timer(seconds, self._end, [self._round])
        timer.daemon = True
        timer.start()
        try:
            yield lambda: self._is_over
        finally:
            timer.cancel()
            with self._lock:
                self._round += 1  # a timer that is on its way already finds that it is too late

    def watch(self, made: socket.socket) -> None:
        """Take note of a connection; it may be used for many requests."""
        self.close()
        with self._lock:
            self._socket = made.dup()
            if self._is_over:
                self._cut()

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _end(self, number: int) -> None:
        with self._lock:
            if number == self._round:
                self._is_over = True
                self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)


class DeadlineAdapter(HTTPAdapter):
    """Shows each connection, also to a proxy, to the deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._pools = _pools(deadline.watch)
        super().__init__()

    def init_poolmanager(self, *values: Any, **named: Any) -> None:
        """Make connections that are watched."""
        super().init_poolmanager(*values, **named)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *values: Any, **named: Any) -> Any:
        """Make connections that are watched."""
        manager = super().proxy_manager_for(*values, **named)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(watch: Callable[[socket.socket], None]) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            watch(made)
            return made

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            watch(made)
            return made

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
