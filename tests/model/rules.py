"""The rules as switches, so that each can be left out, and the situations in which they are explored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

FAULTS = (
    "start", "crash", "lost", "late", "toggle", "delete", "recreate", "lower", "wipe", "wipe_pool", "restore", "back",
    "move", "relist", "revoke",
)  # fmt: skip
"""What may happen, each as often as a scenario's budget says; `start` is another process that takes over."""

Precondition = Literal["rv", "uid", "name"]


@dataclass(frozen=True)
class Rules:
    """The protocol; the defaults are the rules of docs/credits.md, by number."""

    commit_compares: bool = True  # 1: each write of the pool is a compare-and-swap
    holder_is_id: bool = True  # 1: leadership is a fresh id, not a number that a wiped status starts again
    swap: bool = True  # 2: become the holder first
    list_after_swap: bool = True  # 2: then list
    touch: bool = True  # 2: then touch what has no claim
    list_account: bool = True  # 2: then list the account
    check_holder: bool = True  # 3: after a failed commit look who holds the pool
    monotonic: bool = True  # 4: the store never goes back
    count_grants: bool = True  # 5
    count_alive: bool = True  # 5
    recompute: bool = True  # 5: never a running difference
    commit_first: bool = True  # 6: commit, then claim
    fits: bool = True  # 6: held + batch ≤ limit
    claim_needs_version_of_commit: bool = True  # 7
    free_needs_commit: bool = True  # 7: also a grant that costs nothing needs the pool's word
    claim: Precondition = "rv"  # 7
    forget: Literal["seen", "sent"] = "seen"  # 8
    finalizer_first: bool = True  # 9
    intent: bool = True  # 9
    one_post: bool = True  # 9: an intent allows one POST
    doubt_outcome: bool = True  # 9: after an unknown outcome only a listing that begins then tells
    clear_unlisted: bool = True  # 9: a recorded id that Makini does not list is cleared
    close_lists: bool = True  # 10: list until none is left
    release: Precondition = "rv"  # 10
    finalizer: Precondition = "rv"  # 10
    revocation_keeps: bool = True  # 10: a revocation releases the id, and keeps the claim
    finalizer_last: bool = True  # 10: in a write of its own, after the release
    twice: bool = True  # 11: absent only if missing again in a listing that began after it was missed
    sweep: bool = True  # 11
    sweep_reads: bool = True  # 11: gone by a read after the listing
    close_surplus: bool = True  # 11: of duplicates one is kept
    audit: bool = False  # 12: no audit of its own


GOOD = Rules()


@dataclass(frozen=True)
class Scenario:
    """Who is there at the beginning, and what may happen."""

    faults: dict[str, int] = field(default_factory=dict)
    weights: tuple[int, ...] = (1, 1)
    pool_of: tuple[int, ...] = (0, 0)
    limits: tuple[int, ...] = (1,)
    accounts: tuple[int, ...] = (0,)
    """The account of each pool."""
    namespaces: tuple[int, ...] = (0, 1)
    namespace_limit: int | None = None
    open: tuple[int, ...] = ()
    """Slots whose connection is open already."""
    unwanted: tuple[int, ...] = ()
    """Slots that are `connected: false` at first."""
    finalizer: bool = True
    prologue: tuple[tuple[int, str], ...] = ()
    """What has happened before: a process goes on, undisturbed, up to a step that says so; -1: a disturbance."""
    is_exact: bool = False
    """Nobody else's call to Makini is under way: what is said of Makini holds at every moment."""
    workers: int = 2
    slow_listing: bool = False
    """A listing takes time, in which other things happen."""
