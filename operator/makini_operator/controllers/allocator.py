"""Keeps one pool's ledger: the only writer of that pool's status.

Why it cannot over-grant (docs/architecture.md has the rules by number): every commit is a
compare-and-swap on the pool, so the limit and the leader that were checked are those in
force; claims are written only for grants that were committed, on a version of the connection
that was read before the commit; and a process that took over has listed everything *after*
it became the leader, and touched every connection without a claim, so that a late write of
its predecessor fails.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from makini_operator.controllers.accounts import Account
from makini_operator.controllers.take_over import touch_unclaimed
from makini_operator.controllers.tally import Tally
from makini_operator.controllers.world import World
from makini_operator.credits import ledger
from makini_operator.credits.ledger import Decision, Grant, Request
from makini_operator.credits.queue import Notice, notice
from makini_operator.kube.api import POOLS
from makini_operator.kube.diff import status_changes
from makini_operator.kube.errors import Conflict, KubeError, NotFound, ReplyLost
from makini_operator.kube.lease import LeadershipLost
from makini_operator.lifecycle.pool_report import pool_status, taken_over
from makini_operator.resources.connection import Environment, MakiniConnection
from makini_operator.resources.pool import POOL_FINALIZER, CreditPool
from makini_operator.resources.pool_status import CreditPoolStatus

_logger = logging.getLogger(__name__)

GATHER = 0.25
"""Seconds to wait for more requests before a decision: one pool write serves them all."""
RETRY = 1.0
"""Seconds to wait after a failed call to Kubernetes."""
RETRY_AFTER_BUG = 5.0
"""Seconds to wait after an error that should not happen: it must stop neither the process nor the other pools."""


class Allocator:
    """The ledger of the pool with this uid."""

    def __init__(self, world: World, pool: CreditPool) -> None:
        self.uid = pool.metadata.uid
        self.name = pool.metadata.name
        self.is_leading = False
        self._world = world
        self._wake = asyncio.Event()
        self._tally = Tally(world, pool.metadata.name)
        self._told: dict[str, Notice] = {}
        self.audit: dict[str, int] = {}
        """Credits at the last decision: `claimed` by connections, and of those `alive` at Makini (rule 12)."""

    # --- what workers ask ------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look again: something that the ledger depends on has changed."""
        self._wake.set()

    def request(self, request: Request) -> None:
        """Stand in the queue, as read at this version of the connection."""
        if self._tally.requests.get(request.uid) != request:
            self._tally.requests[request.uid] = request
            self.wake()

    def withdraw(self, uid: str) -> None:
        """Leave the queue."""
        self._told.pop(uid, None)
        if self._tally.requests.pop(uid, None):
            self.wake()

    def grant_for(self, connection: MakiniConnection) -> Grant | None:
        """The committed grant that may be claimed on exactly this version of the connection."""
        grant = self._tally.grants.get(connection.metadata.uid)
        return grant if grant and grant.resource_version == connection.metadata.resource_version else None

    def notice_for(self, uid: str) -> Notice | None:
        """What was said when the queue was last looked at with this connection waiting in it."""
        return self._told.get(uid)

    def trusted_listing(self, account: Account) -> int:
        """Number of the first listing of this account that began after the take-over."""
        return self._tally.trusted_listing(account)

    # --- the loop --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Lead this pool until cancelled, or until it is gone.

        Raises:
            LeadershipLost: another process leads it.
        """
        while True:
            try:
                if not self.is_leading:
                    await self._take_over()
                await self._settle()
            except NotFound:
                self._world.pools.remove(self.uid)
                return
            except KubeError as error:
                _logger.warning("pool %s: %s", self.name, error)
                await asyncio.sleep(RETRY)
                continue
            except LeadershipLost:
                raise
            except Exception:
                _logger.exception("pool %s: unexpected error; everything is decided anew", self.name)
                await asyncio.sleep(RETRY_AFTER_BUG)
                continue
            await self._wake.wait()
            await asyncio.sleep(GATHER)
            self._wake.clear()

    async def _settle(self) -> None:
        """Commit until there is nothing left to say; what comes meanwhile is gathered, so that one write serves it."""
        is_changed = await self._decide()
        while is_changed:
            await asyncio.sleep(GATHER)
            is_changed = await self._decide()

    # --- leading (rules 1 to 3) ------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        pool = await self._read()
        if POOL_FINALIZER not in pool.metadata.finalizers and not pool.metadata.is_deleting:
            pool = await self._write_finalizers(pool, [*pool.metadata.finalizers, POOL_FINALIZER])
        try:
            await self._write_status(pool, taken_over(pool, self._world.incarnation))
        except ReplyLost:
            raise LeadershipLost(f"whether this process leads pool {self.name} is unknown") from None
        await self._world.relist_connections()
        await touch_unclaimed(self._world, self.name)
        for account in self._world.accounts_of(pool):
            self.trusted_listing(account)
        self.is_leading = True
        _logger.info("pool %s: leading as %s", self.name, self._world.incarnation)
        self._world.enqueue_pool(self.name)

    # --- granting (rules 5 to 8) -----------------------------------------------------------------------------------

    async def _decide(self) -> bool:
        """One decision; returns whether it was written, so that another look is due."""
        pool = self._world.pools.get(self.uid) or await self._read()
        self._check_leader(pool)
        self._tally.forget_what_was_seen()
        snapshot = self._tally.snapshot(pool)
        decision = ledger.decide(snapshot)
        self.audit = {"claimed": sum(snapshot.claims.values()), "alive": sum(snapshot.alive.values())}
        status = pool_status(pool, self._tally.facts(pool, decision), datetime.now(UTC))
        is_changed = bool(status_changes(pool.status, status))
        if is_changed and not await self._commit(pool, status):
            return True
        if decision.batch:
            _logger.debug("pool %s: granted to %s", self.name, ", ".join(r.name for r in decision.batch))
        self._tally.grants |= {r.uid: Grant(r.uid, r.resource_version, r.amount, r.tier) for r in decision.batch}
        self._tell(decision)
        await self._let_go(decision)
        return is_changed

    async def _commit(self, pool: CreditPool, status: CreditPoolStatus) -> bool:
        """Compare-and-swap; after a failure or a lost reply read the pool and decide anew, never repeat a delta."""
        try:
            await self._write_status(pool, status)
        except (Conflict, ReplyLost):
            self._check_leader(await self._read())
            return False
        return True

    def _check_leader(self, pool: CreditPool) -> None:
        holder = pool.status.ledger.holder if pool.status.ledger else None
        if holder != self._world.incarnation:
            raise LeadershipLost(f"pool {self.name} is led by {holder or 'nobody'}, not by {self._world.incarnation}")

    def _tell(self, decision: Decision) -> None:
        """Wake those that were granted, and those who wait and for whom there is news."""
        for request in decision.batch:
            self._tally.requests.pop(request.uid, None)
            self._told.pop(request.uid, None)
            self._world.queue.add(request.uid, first=True)  # before those who only hear of a new position
        for place in decision.waiting:
            uid = place.request.uid
            said = notice(place, decision.available, self._told.get(uid))
            if self._told.get(uid) != said:
                self._told[uid] = said
                self._world.queue.add(uid)

    # --- the pool object -------------------------------------------------------------------------------------------

    async def _let_go(self, decision: Decision) -> None:
        """Release a pool that is being deleted once nothing counts against it, by a listing of its accounts."""
        pool = self._world.pools.get(self.uid)
        if pool is None or not pool.metadata.is_deleting or POOL_FINALIZER not in pool.metadata.finalizers:
            return
        if decision.holding == 0 and all(self._tally.is_known_to_be_empty(pool, e) for e in Environment):
            await self._write_finalizers(pool, [f for f in pool.metadata.finalizers if f != POOL_FINALIZER])

    async def _read(self) -> CreditPool:
        found = self._world.take_pool(await self._world.api.get(POOLS, None, self.name))
        if found is None or found.metadata.uid != self.uid:
            raise NotFound(f"pool {self.name} with uid {self.uid} is gone")
        return found

    async def _write_status(self, pool: CreditPool, status: CreditPoolStatus) -> CreditPool:
        changes: dict[str, object] = {"status": status_changes(pool.status, status)}
        return await self._patch(pool, changes, subresource="status")

    async def _write_finalizers(self, pool: CreditPool, finalizers: list[str]) -> CreditPool:
        return await self._patch(pool, {"metadata": {"finalizers": finalizers}}, subresource=None)

    async def _patch(self, pool: CreditPool, changes: dict[str, object], *, subresource: str | None) -> CreditPool:
        meta = pool.metadata
        written = await self._world.api.patch(
            POOLS, None, meta.name, changes, uid=meta.uid, version=meta.resource_version, subresource=subresource
        )
        return self._world.take_pool(written) or pool
