"""How fast and how widely one account may be asked, shared by everything that talks to it.

Three limits in one place: requests per second (a token bucket), requests at once, and a pause that Makini asked for
with a 429. A caller says how long it is willing to wait; when that is not enough it gets `RateLimited` *before*
anything is sent.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

from makini_operator.makini.errors import RateLimited

DEFAULT_PER_SECOND = 20.0
"""Requests per second to one account; Makini publishes no limit."""
_MAX_PAUSE = 3600.0  # seconds; a nonsensical Retry-After must not silence an account for days


class RateBudget:
    """The request budget of one account.

    Args:
        per_second: requests per second in the long run.
        burst: requests that may go out at once after a quiet time.
        concurrent: requests in flight at any time.
        monotonic: seconds of a clock that never jumps.
        sleep: how to wait; a parameter so that tests need no real time.
    """

    def __init__(
        self,
        *,
        per_second: float = DEFAULT_PER_SECOND,
        burst: int = 20,
        concurrent: int = 8,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled_at = monotonic()
        self._paused_until = float("-inf")
        self._in_flight = asyncio.Semaphore(concurrent)
        self._monotonic = monotonic
        self._sleep = sleep

    @classmethod
    def of(cls, per_second: float) -> Self:
        """A budget of so many requests per second, of which one second's worth may go out at once."""
        return cls(per_second=per_second, burst=max(1, math.ceil(per_second)))

    def pause(self, seconds: float) -> None:
        """Send nothing for this account for so long (at most an hour); a pause is never shortened."""
        self._paused_until = max(self._paused_until, self._monotonic() + min(seconds, _MAX_PAUSE))

    @property
    def paused_for(self) -> float:
        """Seconds until the account may be asked again; 0 when it may."""
        return max(0.0, self._paused_until - self._monotonic())

    @asynccontextmanager
    async def slot(self, *, patience: float) -> AsyncIterator[None]:
        """Hold one of the requests in flight, after waiting at most `patience` seconds for it.

        Raises:
            RateLimited: the wait would be longer; `retry_after` says how long, when that is known.
        """
        if self.paused_for > patience:  # known already, so do not wait for a place only to say no
            raise _used_up(self.paused_for)
        deadline = self._monotonic() + patience
        await self._acquire(patience)
        try:
            await self._wait_for_turn(deadline)
            yield
        finally:
            self._in_flight.release()

    async def _acquire(self, patience: float) -> None:
        try:
            async with asyncio.timeout(max(patience, 0.0)):
                await self._in_flight.acquire()
        except TimeoutError:
            pass
        else:
            return
        raise RateLimited("too many requests to Makini are in flight; try again later", code="LOCAL_BUDGET")

    async def _wait_for_turn(self, deadline: float) -> None:
        while (delay := max(self.paused_for, self._until_token())) > 0:
            if self._monotonic() + delay > deadline:
                raise _used_up(delay)
            await self._sleep(delay)
        self._tokens -= 1.0

    def _until_token(self) -> float:
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        # The tolerance absorbs rounding: without it a wait could be repeated for a billionth of a token.
        return max(0.0, (1.0 - 1e-9 - self._tokens) / self._per_second)


def _used_up(delay: float) -> RateLimited:
    return RateLimited(
        "the request budget of this Makini account is used up; try again later",
        code="LOCAL_BUDGET",
        retry_after=delay,
    )
