"""Calls that wait until somebody decides what becomes of them, so that every order of events can be tried.

No event loop: a task is a coroutine that is resumed by hand, and stands still between two calls.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """A request that is about to be sent.

    `lost` makes the error of a caller who gets no answer; `turned_away` that of one who is told to come back later.
    """

    what: str
    perform: Callable[[], Any]
    lost: Callable[[], Exception]
    is_write: bool = False
    turned_away: Callable[[], Exception] | None = None

    def __await__(self) -> Generator[Call, Any, Any]:
        return (yield self)


@dataclass
class Task:
    """A coroutine between two calls."""

    name: str
    coroutine: Coroutine[Any, Any, Any]
    call: Call | None = None
    outcome: tuple[Any, Exception | None] | None = None
    """What the call has led to, when its effect has happened and the answer is under way."""
    error: Exception | None = field(default=None)
    is_done: bool = False

    def begin(self) -> None:
        self._resume(lambda: self.coroutine.send(None))

    def perform(self) -> None:
        """The request arrives: its effect happens."""
        assert self.call is not None
        if self.outcome is None:
            try:
                self.outcome = (self.call.perform(), None)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
                self.outcome = (None, error)

    def answer(self) -> None:
        """The answer arrives."""
        self.perform()
        assert self.outcome is not None
        (value, error), self.outcome = self.outcome, None
        self._resume(lambda: self.coroutine.throw(error) if error else self.coroutine.send(value))

    def lose(self) -> None:
        """The caller gives up."""
        assert self.call is not None
        error, self.outcome = self.call.lost(), None
        self._resume(lambda: self.coroutine.throw(error))

    def turn_away(self) -> None:
        """The other side is busy: no effect, and the caller knows."""
        assert self.call is not None
        error = (self.call.turned_away or self.call.lost)()
        self._resume(lambda: self.coroutine.throw(error))

    def end(self) -> None:
        """The process is gone."""
        self.coroutine.close()
        self.is_done = True

    def _resume(self, how: Callable[[], Call]) -> None:
        self.call = None
        try:
            self.call = how()
        except StopIteration:
            self.is_done = True
        except Exception as error:  # noqa: BLE001 - the task's owner looks at it
            self.is_done, self.error = True, error
