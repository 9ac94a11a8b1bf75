"""The account's own token: fetched once, shared by all calls, renewed before it ends.

Guarantees: at most one fetch at a time, and whoever needs the token meanwhile waits for that one; a caller that is
cancelled does not cancel the fetch of the others; a token that an answer called invalid is forgotten only if it is
still the one in use (a late 401 must not throw away its successor); a failed early renewal is no outage while the
present token still lives.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from makini_operator.makini.types import ConnectionToken

logger = logging.getLogger(__name__)

_SHARE_OF_LIFE = 0.8  # renewed before this much of the life is over
_EARLY = 60.0  # seconds before the end, at least
_SHORT_LIFE_SHARE = 0.5  # for lives so short that `_EARLY` would mean a renewal at every call
_RETRY_RENEWAL = 30.0  # seconds between attempts at an early renewal


@dataclass(kw_only=True)
class _Held:
    value: str = field(repr=False)
    renew_at: float
    ends_at: float


class AdminToken:
    """One admin token, kept current.

    Args:
        fetch: asks Makini for a new token; its `expires_at` is trusted.
        clock: unix time in seconds.
    """

    def __init__(self, *, fetch: Callable[[], Awaitable[ConnectionToken]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: _Held | None = None
        self._renewal: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """Return a token that is good for now; raises what `fetch` raises when there is none."""
        held, now = self._held, self._clock()
        if held is not None and now < held.renew_at:
            return held.value
        if held is None or now >= held.ends_at:
            return await self._renewed()
        try:
            return await self._renewed()
        except Exception as error:  # noqa: BLE001 - whatever it is, the present token is still good
            logger.warning("early renewal of the Makini admin token failed: %s", type(error).__name__)
            held.renew_at = now + _RETRY_RENEWAL
            return held.value

    def forget(self, value: str) -> None:
        """Drop the token because Makini refused it, unless it was replaced already."""
        if self._held is not None and self._held.value == value:
            self._held = None

    async def _renewed(self) -> str:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew(), name="makini-admin-token")
            self._renewal.add_done_callback(self._renewal_ended)
        return await asyncio.shield(self._renewal)

    def _renewal_ended(self, task: asyncio.Task[str]) -> None:
        self._renewal = None
        if not task.cancelled():
            task.exception()  # seen here, so that a failure nobody waits for any more is not reported as forgotten

    async def _renew(self) -> str:
        asked_at = self._clock()
        token = await self._fetch()
        ends_at = token.expires_at.timestamp()
        life = max(0.0, ends_at - asked_at)
        renew_at = asked_at + max(min(_SHARE_OF_LIFE * life, life - _EARLY), _SHORT_LIFE_SHARE * life)
        self._held = _Held(value=token.token, renew_at=renew_at, ends_at=ends_at)
        return token.token
