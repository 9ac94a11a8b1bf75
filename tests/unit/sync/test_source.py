"""One page of the API, from servers that answer slowly, badly or not: by real sockets."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

from makini_operator.sync.errors import SourceUnavailable, TokenRefused
from makini_operator.sync.source import Patience, Source

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}"
SLOWLY = 0.02  # seconds between two bytes
FOR_LONG = 100_000  # bytes, which would take more than half an hour

Serve = Callable[[socket.socket], None]
MakeSource = Callable[..., Source]


@contextmanager
def serving(*answers: Serve) -> Iterator[str]:
    """Answer each request on a connection of its own; the last answer is for all that follow."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for number in range(100):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    while b"\r\n\r\n" not in connection.recv(65_536):
                        pass
                    answers[min(number, len(answers) - 1)](connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert not thread.is_alive()


def plain(answer: bytes) -> Serve:
    return lambda connection: connection.sendall(answer)


class Dripping:
    """Sends the start at once, and then a byte now and then until the other end goes away."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self.was_cut = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        connection.sendall(self._start)
        connection.settimeout(SLOWLY)
        for _ in range(FOR_LONG):
            try:
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            except OSError:
                break
            try:
                connection.sendall(b"x")
            except OSError:
                break
        else:
            return
        self.was_cut.set()


@pytest.fixture
def source() -> Iterator[MakeSource]:
    with ExitStack() as stack:

        def make(url: str, **patience: Any) -> Source:
            made = Source(url=url, token=lambda: "t", patience=Patience(**patience), pause=lambda _: None)
            return stack.enter_context(closing(made))

        yield make


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nfffff\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{",
    ],
    ids=["nothing", "headers", "body", "chunks", "body-to-the-end"],
)
def test_an_answer_that_drips_is_cut_at_the_deadline(start: bytes, source: MakeSource) -> None:
    dripping = Dripping(start)
    with serving(dripping) as url:
        with pytest.raises(SourceUnavailable, match=r"no complete answer within 0\.5 s; given up after 1"):
            source(url, attempts=1, request=0.5).get("/p", {})
        assert dripping.was_cut.wait(30)


@pytest.mark.parametrize(("status", "kind"), [("401 No", TokenRefused), ("404 No", SourceUnavailable)])
def test_the_body_of_an_error_that_drips_is_cut_and_the_status_counts(
    status: str, kind: type[Exception], source: MakeSource
) -> None:
    dripping = Dripping(f"HTTP/1.1 {status}\r\nContent-Length: 1000\r\n\r\n".encode())
    with serving(dripping) as url:
        with pytest.raises(kind, match=f"answered {status[:3]}"):
            source(url, attempts=1, request=0.5).get("/p", {})
        assert dripping.was_cut.wait(30)


def test_after_a_cut_the_next_attempt_has_a_connection_and_a_deadline_of_its_own(source: MakeSource) -> None:
    dripping = Dripping(b"HTTP/1.1 200 OK\r\n")
    with serving(dripping, plain(OK)) as url:
        assert source(url, attempts=2, request=0.5).get("/p", {}).body == b"{}"


def test_a_connection_is_kept_for_many_requests_each_with_its_own_deadline(source: MakeSource) -> None:
    dripping = Dripping(b"HTTP/1.1 200 OK\r\n")

    def twice(connection: socket.socket) -> None:
        connection.sendall(OK)
        while b"\r\n\r\n" not in connection.recv(65_536):
            pass
        dripping(connection)

    with serving(twice) as url:
        made = source(url, attempts=1, request=0.5)
        assert made.get("/p", {}).body == b"{}"
        with pytest.raises(SourceUnavailable, match="no complete answer"):
            made.get("/p", {})
        assert dripping.was_cut.wait(30)


@pytest.mark.parametrize(
    ("answers", "attempts"), [([REFUSED, OK], 1), ([BUSY, BUSY, REFUSED, OK], 3), ([REFUSED, BUSY, OK], 2)]
)
def test_a_refused_token_is_read_once_more_also_at_the_last_attempt(
    answers: list[bytes], attempts: int, source: MakeSource
) -> None:
    with serving(*map(plain, answers)) as url:
        assert source(url, attempts=attempts).get("/p", {}).body == b"{}"


@pytest.mark.parametrize(
    ("answers", "attempts", "kind"),
    [
        ([REFUSED], 1, TokenRefused),
        ([BUSY, BUSY, REFUSED, REFUSED], 3, TokenRefused),
        ([REFUSED, BUSY, REFUSED], 3, TokenRefused),
        ([REFUSED, BUSY], 1, SourceUnavailable),
        ([BUSY], 2, SourceUnavailable),
    ],
)
def test_what_stays_fails(answers: list[bytes], attempts: int, kind: type[Exception], source: MakeSource) -> None:
    with serving(*map(plain, answers)) as url, pytest.raises(kind):
        source(url, attempts=attempts).get("/p", {})
