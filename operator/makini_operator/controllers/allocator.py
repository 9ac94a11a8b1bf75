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
from collections.abc import Iterator
from datetime import UTC, datetime

from makini_operator.controllers.accounts import Account
from makini_operator.controllers.world import World
from makini_operator.credits import ledger
from makini_operator.credits.ledger import Decision, Grant, Request, Snapshot
from makini_operator.credits.queue import Notice, notice
from makini_operator.kube.api import CONNECTIONS, POOLS
from makini_operator.kube.diff import status_changes
from makini_operator.kube.errors import Conflict, KubeError, NotFound, ReplyLost
from makini_operator.kube.lease import LeadershipLost
from makini_operator.lifecycle.pool_report import Holding, PoolFacts, account_trouble, pool_status, taken_over
from makini_operator.resources.connection import Environment, MakiniConnection
from makini_operator.resources.pool import POOL_FINALIZER, CreditPool
from makini_operator.resources.pool_status import CreditPoolStatus
from makini_operator.resources.reasons import Reason

_logger = logging.getLogger(__name__)

GATHER = 0.25
"""Seconds to wait for more requests before a decision: one pool write serves them all."""
TOUCHES = 16
"""Connections that are touched at a time at a take-over."""
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
        self._requests: dict[str, Request] = {}
        self._grants: dict[str, Grant] = {}
        self._told: dict[str, Notice] = {}
        self.audit: dict[str, int] = {}
        """Credits at the last decision: `claimed` by connections, and of those `alive` at Makini (rule 12)."""
        self._trusted_from: dict[Account, int] = {}

    # --- what workers ask ------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look again: something that the ledger depends on has changed."""
        self._wake.set()

    def request(self, request: Request) -> None:
        """Stand in the queue, as read at this version of the connection."""
        if self._requests.get(request.uid) != request:
            self._requests[request.uid] = request
            self.wake()

    def withdraw(self, uid: str) -> None:
        """Leave the queue."""
        self._told.pop(uid, None)
        if self._requests.pop(uid, None):
            self.wake()

    def grant_for(self, connection: MakiniConnection) -> Grant | None:
        """The committed grant that may be claimed on exactly this version of the connection."""
        grant = self._grants.get(connection.metadata.uid)
        return grant if grant and grant.resource_version == connection.metadata.resource_version else None

    def notice_for(self, uid: str) -> Notice | None:
        """What was said when the queue was last looked at with this connection waiting in it."""
        return self._told.get(uid)

    def trusted_listing(self, account: Account) -> int:
        """Number of the first listing of this account that began after the take-over."""
        if account not in self._trusted_from:
            self._trusted_from[account] = account.index.request()
        return self._trusted_from[account]

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
        unclaimed = [c for c in self._world.connections if c.spec.pool_ref.name == self.name and not c.status.credits]
        for start in range(0, len(unclaimed), TOUCHES):
            some = unclaimed[start : start + TOUCHES]
            for outcome in await asyncio.gather(*map(self._touch, some), return_exceptions=True):
                if outcome is not None:
                    raise outcome
        for account in self._world.accounts_of(pool):
            self.trusted_listing(account)
        self.is_leading = True
        _logger.info("pool %s: leading as %s", self.name, self._world.incarnation)
        self._world.enqueue_pool(self.name)

    async def _touch(self, connection: MakiniConnection) -> None:
        """Change a connection without a claim, so that a late claim of a former leader must fail."""
        current: MakiniConnection | None = connection
        while current and current.status.credits is None:
            meta = current.metadata
            change = {"status": {"touchedBy": self._world.incarnation}}
            try:
                written = await self._world.api.patch(
                    CONNECTIONS,
                    meta.namespace,
                    meta.name,
                    change,
                    uid=meta.uid,
                    version=meta.resource_version,
                    subresource="status",
                )
            except NotFound:
                return
            except (Conflict, ReplyLost):
                current = await self._fresh(current)
            else:
                self._world.take_connection(written)
                return

    async def _fresh(self, connection: MakiniConnection) -> MakiniConnection | None:
        meta = connection.metadata
        try:
            found = await self._world.api.get(CONNECTIONS, meta.namespace, meta.name)
        except NotFound:
            return None
        current = self._world.take_connection(found)
        return current if current and current.metadata.uid == meta.uid else None

    # --- granting (rules 5 to 8) -----------------------------------------------------------------------------------

    async def _decide(self) -> bool:
        """One decision; returns whether it was written, so that another look is due."""
        pool = self._world.pools.get(self.uid) or await self._read()
        self._check_leader(pool)
        self._forget_what_was_seen()
        snapshot = self._snapshot(pool)
        decision = ledger.decide(snapshot)
        self.audit = {"claimed": sum(snapshot.claims.values()), "alive": sum(snapshot.alive.values())}
        status = pool_status(pool, self._facts(pool, decision), datetime.now(UTC))
        is_changed = bool(status_changes(pool.status, status))
        if is_changed and not await self._commit(pool, status):
            return True
        if decision.batch:
            _logger.debug("pool %s: granted to %s", self.name, ", ".join(r.name for r in decision.batch))
        self._grants |= {r.uid: Grant(r.uid, r.resource_version, r.amount, r.tier) for r in decision.batch}
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

    def _forget_what_was_seen(self) -> None:
        """Rule 8: a grant is forgotten only when a newer version of its connection was seen, or its end."""
        for uid, grant in list(self._grants.items()):
            connection = self._world.connections.get(uid)
            if connection is None or int(connection.metadata.resource_version) > int(grant.resource_version):
                del self._grants[uid]
        for uid in [uid for uid in self._requests if self._is_pointless(uid)]:
            del self._requests[uid]

    def _is_pointless(self, uid: str) -> bool:
        connection = self._world.connections.get(uid)
        return (
            connection is None
            or connection.status.credits is not None
            or connection.spec.pool_ref.name != self.name
            or connection.metadata.is_deleting
            or not connection.spec.connected
        )

    def _snapshot(self, pool: CreditPool) -> Snapshot:
        claims = {
            c.metadata.uid: c.status.credits.amount
            for c in self._world.connections
            if c.status.credits and c.status.credits.pool == self.name
        }
        is_free = not pool.spec.hold and not pool.metadata.is_deleting and self._is_usable(pool)
        return Snapshot(
            limit=pool.spec.limit,
            may_grant=is_free,
            claims=claims,
            grants={uid: grant.amount for uid, grant in self._grants.items()},
            alive=self._alive(pool),
            requests=tuple(r for r in self._requests.values() if self._may_use(pool, r)),
            outdated=frozenset(r.uid for r in self._requests.values() if not self._is_current(r)),
            strategy=pool.spec.strategy,
            namespace_limit=pool.spec.namespace_limit,
            namespaces={c.metadata.uid: c.metadata.namespace for c in self._world.connections if self._is_mine(c)},
        )

    def _may_use(self, pool: CreditPool, request: Request) -> bool:
        """By the selector of the version that is committed on, and the newest labels known."""
        namespace = self._world.namespaces.named("", request.namespace)
        return pool.spec.is_open_to(namespace.metadata.labels if namespace else {})

    def _is_current(self, request: Request) -> bool:
        connection = self._world.connections.get(request.uid)
        return connection is not None and connection.metadata.resource_version == request.resource_version

    def _alive(self, pool: CreditPool) -> dict[str, int]:
        """Rule 5's third set: connections alive at Makini, also those whose resource is unknown."""
        alive: dict[str, int] = {}
        for account in self._world.accounts_of(pool):
            for tag, amount in account.index.alive().items():
                uid = self._world.owner_of(account, tag)
                connection = self._world.connections.get(uid) if uid else None
                if connection is None or self._is_mine(connection):
                    alive[uid or f"unknown:{tag}"] = amount
        return alive

    def _is_mine(self, connection: MakiniConnection) -> bool:
        claim = connection.status.credits
        return (claim.pool if claim else connection.spec.pool_ref.name) == self.name

    def _is_usable(self, pool: CreditPool) -> bool:
        """Whether the paying account is known to be the right one, and was listed since the take-over."""
        account = self._world.account_for(pool, Environment.PRODUCTION)
        if account is None or account.identity is None or self._world.installation.trouble:
            return False
        is_listed = account.index.completed >= self.trusted_listing(account)
        return is_listed and account_trouble(pool.status.account, account.facts) is None

    def _facts(self, pool: CreditPool, decision: Decision) -> PoolFacts:
        paying = self._world.account_for(pool, Environment.PRODUCTION)
        sandbox = self._world.account_for(pool, Environment.SANDBOX)
        assert paying is not None  # noqa: S101 - the schema requires an account
        granted = {request.uid for request in decision.batch}
        waiting = [r for r in self._requests.values() if r.uid not in granted and r.uid not in self._grants]
        accounts = self._world.accounts_of(pool)
        installation = self._world.installation.trouble
        facts = paying.facts
        return PoolFacts(
            decision=decision,
            account=facts if installation is None else type(facts)(None, 0, 0, installation),
            sandbox=sandbox.facts if sandbox else None,
            holder=self._world.incarnation,
            holdings=tuple(self._holdings(decision)),
            waiting_credits=sum(r.amount for r in waiting),
            waiting_connections=len(waiting),
            is_listed=all(a.index.completed >= self.trusted_listing(a) for a in accounts),
        )

    def _holdings(self, decision: Decision) -> Iterator[Holding]:
        """Claims seen, and grants that are not."""
        pending = {uid: (grant.tier, grant.amount) for uid, grant in self._grants.items()}
        pending |= {request.uid: (request.tier, request.amount) for request in decision.batch}
        for connection in self._world.connections:
            claim = connection.status.credits
            if claim and claim.pool == self.name:
                yield Holding(connection.metadata.namespace, claim.tier, claim.amount)
            elif connection.metadata.uid in pending:
                yield Holding(connection.metadata.namespace, *pending[connection.metadata.uid])

    def _tell(self, decision: Decision) -> None:
        """Wake those that were granted, and those who wait and for whom there is news."""
        for request in decision.batch:
            self._requests.pop(request.uid, None)
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
        if decision.holding == 0 and all(self._is_known_to_be_empty(pool, e) for e in Environment):
            await self._write_finalizers(pool, [f for f in pool.metadata.finalizers if f != POOL_FINALIZER])

    def _is_known_to_be_empty(self, pool: CreditPool, environment: Environment) -> bool:
        """Whether the account was listed since the take-over, or was never reached, so that nothing can be in it.

        What was listed stays known when the account cannot be reached any more: whatever was opened since is counted.
        """
        account = self._world.account_for(pool, environment)
        if account is None:
            return True
        recorded = pool.status.sandbox if environment is Environment.SANDBOX else pool.status.account
        trouble = account_trouble(recorded, account.facts)
        if recorded is None and trouble is not None:
            return True
        is_another = trouble is not None and trouble.reason is Reason.ACCOUNT_CHANGED
        return not is_another and account.index.completed >= self.trusted_listing(account)

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
