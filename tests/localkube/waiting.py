"""Waiting on a condition with a deadline, for everything that watches a cluster from outside."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.localkube.errors import LocalKubeError

_FIRST_POLL, _LONGEST_POLL, _GROWTH = 0.02, 0.2, 1.25
"""Seconds between two looks: what comes soon is seen soon, and what takes long costs others little CPU."""

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T], timeout: float = 30, describe: str | Callable[[], object] = "the condition"
) -> T:
    """The predicate's first true answer, or a failure that shows what was seen instead.

    Args:
        predicate: asked again and again; an AssertionError or LocalKubeError in it counts as "not yet".
        timeout: seconds.
        describe: what is waited for; or a function whose result is shown on failure (the object, a log's end).
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_POLL
    while True:
        seen: object
        try:
            if answer := predicate():
                return answer
            seen = answer
        except (AssertionError, LocalKubeError) as error:
            seen = error
        if time.monotonic() > deadline:
            shown = describe if isinstance(describe, str) else describe()
            raise AssertionError(f"not within {timeout:g} s: {shown}\nlast seen: {seen!r}")
        time.sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST_POLL)
