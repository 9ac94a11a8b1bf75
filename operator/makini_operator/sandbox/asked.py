"""The last requests, for the page for people: what was asked and how it was answered, nothing of the content."""

from collections import deque
from dataclasses import dataclass

KEPT = 60
MAX_PATH = 120  # characters


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that was answered. `at` is unix seconds, `taken` seconds."""

    at: float
    method: str
    path: str
    status: int
    taken: float


Log = deque[Asked]
