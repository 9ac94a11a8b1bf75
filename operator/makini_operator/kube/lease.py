"""Which of several operator processes works: a `coordination.k8s.io` Lease, as client-go's leader election uses it.

A process that stops gives the Lease back, so that the next one works within seconds. One that dies or hangs loses it
when nobody has renewed it for its duration, by the *other* process's clock: no two clocks are compared. A leader that
could not renew for two thirds of that time refuses to work on, also when it was paused and does not know it yet.

The Lease keeps two processes from getting in each other's way. The ledger is safe without it (docs/credits.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from makini_operator.kube.api import LEASES, KubeApi, Object
from makini_operator.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, ReplyLost

LEASE_NAME = "makini-operator"
RELEASE_WITHIN = 5.0
"""Seconds that giving the Lease back may take at a stop."""
_logger = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """Another process works, or may by now: this one must change nothing more and end."""


@dataclass(frozen=True)
class Timing:
    """Seconds. client-go's proportions: a lease of 15 s is renewed every 2 s, and given up after 10 s without."""

    duration: float = 15.0

    @property
    def renew_within(self) -> float:
        """A leader that could not renew for so long stops; the rest is a margin for others to wait."""
        return self.duration * 2 / 3

    @property
    def retry(self) -> float:
        """Between two renewals of a leader."""
        return self.duration * 2 / 15

    @property
    def look(self) -> float:
        """Between two looks of one that waits: a Lease that was given back is taken this soon."""
        return min(1.0, self.retry)


class Lease:
    """The Lease of one process.

    `identity` names the process. If it contains a `/`, the part before it is a name that no two living processes bear
    (a pod's name): a predecessor of that name is dead, and its Lease is taken over at once.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        *,
        identity: str,
        timing: Timing,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.identity = identity
        self._api, self._namespace, self._timing = api, namespace, timing
        self._clock, self._pause = clock, pause
        self._is_mine = False
        self._current: Object = {}
        self._renewed_at = 0.0
        self._seen = ""
        self._seen_at = 0.0

    @property
    def is_held(self) -> bool:
        """Whether this process may work now."""
        return self._is_mine and self._clock() - self._renewed_at <= self._timing.renew_within

    def check(self) -> None:
        """Ask before anything is changed. Raises `LeadershipLost`."""
        if not self.is_held:
            raise LeadershipLost(f"this process does not hold Lease {self._namespace}/{LEASE_NAME} any more")

    async def acquire(self, *, on_look: Callable[[], None]) -> None:
        """Wait until this process leads; `on_look` is called whenever the Lease could be read."""
        led_by = ""
        while True:
            try:
                holder = await self._take()
                on_look()
            except KubeError as error:
                _logger.warning("the Lease could not be read or taken: %s", error)
            else:
                if self._is_mine:
                    _logger.info("leading as %s", self.identity)
                    return
                if holder != led_by:
                    led_by = holder
                    _logger.info("standing by: %s leads", holder)
            until_it_ends = self._seen_at + self._timing.duration - self._clock()
            await self._pause(min(self._timing.look, until_it_ends) if until_it_ends > 0 else self._timing.look)

    async def keep(self) -> None:
        """Renew until cancelled. Raises `LeadershipLost` when another process has it, or it could not be renewed."""
        while True:
            await self._pause(self._timing.retry)
            left = self._renewed_at + self._timing.renew_within - self._clock()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    await self._renew()
            except (KubeError, TimeoutError) as error:
                _logger.warning("the Lease could not be renewed: %s", str(error) or "no answer in time")
            if not self.is_held:
                self._is_mine = False
                raise LeadershipLost(f"Lease {self._namespace}/{LEASE_NAME} could not be renewed in time, or was taken")

    async def release(self) -> None:
        """Give it back, so that the next process need not wait; nothing may be changed after this."""
        if not self._is_mine:
            return
        self._is_mine = False
        try:
            async with asyncio.timeout(RELEASE_WITHIN):
                await self._give_back()
        except (KubeError, TimeoutError) as error:
            _logger.warning("the Lease could not be given back: %s", str(error) or "no answer in time")

    async def _give_back(self) -> None:
        try:
            await self._write(holder="", duration=1)
        except (Conflict, ReplyLost):  # a renewal was under way when its task was cancelled
            self._current = await self._api.get(LEASES, self._namespace, LEASE_NAME)
            if self._spec.get("holderIdentity") == self.identity:
                await self._write(holder="", duration=1)

    async def _take(self) -> str:
        """Take the Lease if it is free; returns who holds it."""
        asked_at = self._clock()
        try:
            self._current = await self._api.get(LEASES, self._namespace, LEASE_NAME)
        except NotFound:
            try:
                self._hold(await self._api.create(LEASES, self._namespace, self._manifest(self.identity)), asked_at)
            except (AlreadyExists, ReplyLost):
                return ""
            return self.identity
        holder = str(self._spec.get("holderIdentity") or "")
        version = self._current["metadata"]["resourceVersion"]
        if version != self._seen:
            self._seen, self._seen_at = version, self._clock()
        if not self._is_free(holder):
            return holder
        try:
            self._hold(await self._write(holder=self.identity, duration=self._timing.duration), asked_at)
        except (Conflict, ReplyLost):
            return ""
        return self.identity

    def _is_free(self, holder: str) -> bool:
        if not holder or self._is_predecessor(holder):
            return True
        duration = float(self._spec.get("leaseDurationSeconds") or self._timing.duration)
        return self._clock() - self._seen_at >= duration

    def _is_predecessor(self, holder: str) -> bool:
        """It is this process (the reply to its taking was lost), or one of the same name, which is dead."""
        name, _, rest = self.identity.partition("/")
        return holder == self.identity or (rest != "" and holder.startswith(f"{name}/"))

    async def _renew(self) -> None:
        asked_at = self._clock()
        try:
            self._hold(await self._write(holder=self.identity, duration=self._timing.duration), asked_at)
        except (Conflict, NotFound, ReplyLost):
            await self._look_who_leads()

    async def _look_who_leads(self) -> None:
        """Somebody else wrote it, or removed it: whoever holds it now leads."""
        try:
            self._current = await self._api.get(LEASES, self._namespace, LEASE_NAME)
        except NotFound:
            asked_at = self._clock()
            self._hold(await self._api.create(LEASES, self._namespace, self._manifest(self.identity)), asked_at)
            return
        if self._spec.get("holderIdentity") != self.identity:
            self._is_mine = False

    def _hold(self, written: Object, asked_at: float) -> None:
        self._current, self._renewed_at, self._is_mine = written, asked_at, True

    @property
    def _spec(self) -> Object:
        return self._current.get("spec") or {}

    async def _write(self, *, holder: str, duration: float) -> Object:
        now = _micro_time()
        before = self._spec
        is_new = before.get("holderIdentity") != holder
        spec = before | {"holderIdentity": holder, "leaseDurationSeconds": max(1, round(duration)), "renewTime": now}
        if is_new:
            spec |= {"acquireTime": now, "leaseTransitions": int(before.get("leaseTransitions") or 0) + 1}
        return await self._api.replace(LEASES, self._namespace, self._current | {"spec": spec})

    def _manifest(self, holder: str) -> Object:
        now = _micro_time()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE_NAME, "namespace": self._namespace},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(self._timing.duration)),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
