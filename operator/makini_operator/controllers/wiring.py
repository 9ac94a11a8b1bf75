"""Who has to look again when something changes: the listeners of the stores, in one place."""

from __future__ import annotations

import logging
from collections.abc import Callable

from makini_operator.controllers.accounts import Account, AccountKey
from makini_operator.controllers.allocator import Allocator
from makini_operator.controllers.world import Namespace, World
from makini_operator.kube.owners import Owned
from makini_operator.makini import MakiniError
from makini_operator.manifests.sync_run import RunRecord
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.pool import CreditPool

_logger = logging.getLogger(__name__)


class Wiring:
    """Connects the stores of one world.

    `lead(allocator)` starts an allocator's loop, `stop(uid)` ends it, `close(key)` ends an account's.
    """

    def __init__(
        self,
        world: World,
        *,
        lead: Callable[[Allocator], None],
        stop: Callable[[str], None],
        close: Callable[[AccountKey], None],
    ) -> None:
        self._world = world
        self._lead, self._stop, self._close = lead, stop, close
        world.connections.listen(self._connection_changed)
        world.pools.listen(self._pool_changed)
        world.children.secrets.listen(self._child_changed)
        world.children.cron_jobs.listen(self._child_changed)
        world.children.roles.listen(self._child_changed)
        world.children.role_bindings.listen(self._child_changed)
        world.children.network_policies.listen(self._child_changed)
        world.children.sync_runs.listen(self._sync_run_changed)
        world.namespaces.listen(self._namespace_changed)

    def _connection_changed(self, before: MakiniConnection | None, after: MakiniConnection | None) -> None:
        for connection in (before, after):
            if connection is not None:
                self._wake_pools(connection)
        changed = after or before
        if changed is not None:
            self._world.queue.add(changed.metadata.uid)

    def _wake_pools(self, connection: MakiniConnection) -> None:
        claim = connection.status.credits
        for name in {connection.spec.pool_ref.name, *([claim.pool] if claim else [])}:
            pool = self._world.pools.named("", name)
            allocator = self._world.allocators.get(pool.metadata.uid) if pool else None
            if allocator:
                allocator.wake()

    def _pool_changed(self, before: CreditPool | None, after: CreditPool | None) -> None:
        for key in self._world.unused_accounts():
            del self._world.accounts[key]
            self._close(key)
        if after is None:
            if before is not None:
                self._world.allocators.pop(before.metadata.uid, None)
                self._stop(before.metadata.uid)
                self._world.enqueue_pool(before.metadata.name)
            return
        allocator = self._world.allocators.get(after.metadata.uid)
        if allocator is None:
            allocator = self._world.allocators[after.metadata.uid] = Allocator(self._world, after)
            self._lead(allocator)
        allocator.wake()
        if before is None or _matters(before) != _matters(after):
            self._world.enqueue_pool(after.metadata.name)

    def _child_changed(self, before: Owned | None, after: Owned | None) -> None:
        for found in (before, after):
            if found is not None and self._world.connections.get(found.owner_uid):
                self._world.queue.add(found.owner_uid)

    def _sync_run_changed(self, _: RunRecord | None, after: RunRecord | None) -> None:
        """How a run goes is told in its connection's status."""
        cron_job = self._world.children.cron_jobs.get(after.owner_uid) if after else None
        if cron_job is not None:
            self._child_changed(None, cron_job)

    def _namespace_changed(self, before: Namespace | None, after: Namespace | None) -> None:
        """Its labels decide which pools its connections may use."""
        if after is None or (before and before.metadata.labels == after.metadata.labels):
            return
        name = after.metadata.name
        self._world.enqueue(c.metadata.uid for c in self._world.connections if c.metadata.namespace == name)
        for allocator in self._world.allocators.values():
            allocator.wake()

    # --- accounts --------------------------------------------------------------------------------------------------

    async def account_listed(self, account: Account, tags: set[str]) -> None:
        """A complete listing: wake those whom it concerns, and disconnect what has lost its owner (rule 11)."""
        for pool in self._world.pools_of(account):
            allocator = self._world.allocators.get(pool.metadata.uid)
            if allocator:
                allocator.wake()
        self._world.enqueue(uid for tag in tags if (uid := self._world.owner_of(account, tag)))
        await self._sweep(account)

    def account_changed(self, account: Account) -> None:
        """The account can be used now, or cannot any more: pools say so, connections under way go on or wait."""
        for pool in self._world.pools_of(account):
            allocator = self._world.allocators.get(pool.metadata.uid)
            if allocator:
                allocator.wake()
            self._world.enqueue_pool(pool.metadata.name)

    async def _sweep(self, account: Account) -> None:
        """Disconnect what carries our marker and belongs to no resource, by a read made after the listing."""
        installation = self._world.installation
        if installation.trouble or installation.is_restoring or not self._lost(account):
            return
        await self._world.relist_connections()
        recorded = {connection.status.connection_id for connection in self._world.connections}
        for tag in self._lost(account):
            for connection_id in account.index.with_tag(tag):
                if connection_id not in recorded:  # else its marker is another's: its own resource says so
                    await self._disconnect_lost(account, connection_id)

    async def _disconnect_lost(self, account: Account, connection_id: str) -> None:
        try:
            await account.client.disconnect(connection_id)
        except MakiniError as error:
            _logger.warning("connection %s has no owner and could not be disconnected yet: %s", connection_id, error)
            account.index.request()
            return
        account.index.closed(connection_id)
        _logger.warning("connection %s had no owner and was disconnected", connection_id)

    def _lost(self, account: Account) -> list[str]:
        return [tag for tag in account.index.alive() if self._world.uid_of(tag) is None]


def _matters(pool: CreditPool) -> tuple[int, bool]:
    return pool.metadata.generation, pool.metadata.is_deleting
