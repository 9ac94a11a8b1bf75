"""What the embedded Makini can be told.

Everything the vendor leaves open is a switch here, with the kinder answer as the default.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

MAX_SCALE = 10_000_000  # purchase orders


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """How one embedded Makini behaves.

    Attributes:
        client_id: the account's OAuth client; the account's own id is derived from it.
        client_secret: compared, never stored.
        state: SQLite file that survives a restart, or None to keep everything in memory.
        page_size: rows per page of the account's listings, whatever `per_page` asks for.
        token_life: life of a connection's token (makini-facts: 30 days).
        admin_token_life: life of the account's own token.
        second_token_kills_first: a minted token ends the earlier ones of its connection.
        keep_disconnected: a disconnected connection stays in the listing, with status `disconnected`.
        scale: number of purchase orders, made when they are asked for; None for the usual few.
        allow_faults: serve `/sandbox/…`: faults on demand and what a test wants to count. For tests only.
        max_body_bytes: larger requests are answered with 413.
        clock: unix time in seconds.
    """

    client_id: str
    client_secret: str = field(repr=False)
    state: Path | None = None
    page_size: int = 10
    token_life: timedelta = timedelta(days=30)
    admin_token_life: timedelta = timedelta(days=30)
    second_token_kills_first: bool = False
    keep_disconnected: bool = False
    scale: int | None = None
    allow_faults: bool = False
    max_body_bytes: int = 256 * 1024
    clock: Callable[[], float] = field(default=time.time, repr=False)
