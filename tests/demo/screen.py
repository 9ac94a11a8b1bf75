"""How the demo looks: titles, commands, their output, checks, and a sign of life when something takes long."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

QUIET_SECONDS = 2
_BOLD, _DIM, _GREEN, _RED, _CYAN = "1", "2", "32", "31", "36"


class Screen:
    """Writes to a terminal, or plainly to anything else and when NO_COLOR is set."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._is_coloured = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def say(self, text: str = "") -> None:
        self._write(f"{text}\n")

    def title(self, text: str) -> None:
        self.say()
        self.say(self._in(_BOLD, f"== {text}"))

    def note(self, text: str) -> None:
        self.say(self._in(_DIM, f"# {text}"))

    def command(self, text: str) -> None:
        self.say(self._in(_CYAN, f"$ {text}"))

    def check(self, text: str) -> None:
        self.say(f"{self._in(_GREEN, 'ok')}  {text}")

    def failure(self, text: str) -> None:
        self.say(self._in(_RED, text))

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """One line that says what is done now, and how long it took."""
        started = time.monotonic()
        self._write(what)
        with self.sign_of_life(end=""):
            yield
        self.say(f" ({time.monotonic() - started:.1f} s)")

    @contextmanager
    def sign_of_life(self, end: str = "\n") -> Iterator[None]:
        """A dot each second, once something has taken longer than people wait without wondering."""
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(done, end), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()

    def _tick(self, done: threading.Event, end: str) -> None:
        if done.wait(QUIET_SECONDS):
            return
        with suppress(BrokenPipeError):  # whoever reads is gone; the main thread will notice
            while True:
                self._write(".")
                if done.wait(1):
                    self._write(end)
                    return

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _in(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._is_coloured else text
