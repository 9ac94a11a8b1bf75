"""What the parts of one operator process share: stores, accounts, allocators, the queue.

Nothing here survives the process, and nothing needs to: everything can be found again by
listing Kubernetes and Makini.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from makini_operator.controllers.accounts import Account, AccountKey
from makini_operator.controllers.children import Children, take
from makini_operator.controllers.installation import Installation
from makini_operator.kube.api import (
    CONNECTIONS,
    NAMESPACES,
    POOLS,
    KubeApi,
    Object,
)
from makini_operator.kube.errors import NotFound
from makini_operator.kube.events import EventRecorder
from makini_operator.kube.store import ObjectStore
from makini_operator.lifecycle import marker
from makini_operator.manifests.sync import NO_SYNCS, SyncImage
from makini_operator.resources.base import ObjectMeta
from makini_operator.resources.connection import Environment, MakiniConnection
from makini_operator.resources.pool import CreditPool

if TYPE_CHECKING:
    from makini_operator.controllers.allocator import Allocator
    from makini_operator.controllers.workqueue import WorkQueue

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Namespace:
    """What is remembered of a namespace: its labels."""

    metadata: ObjectMeta


@dataclass
class World:
    """One operator process. `allocators` by pool uid; `queue` takes uids of connections."""

    api: KubeApi
    namespace: str
    installation: Installation
    events: EventRecorder
    make_account: Callable[[AccountKey], Account]
    queue: WorkQueue
    sync_image: SyncImage = NO_SYNCS
    sync_begin_within: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        self.incarnation = uuid.uuid4().hex[:16]
        self.connections: ObjectStore[MakiniConnection] = ObjectStore()
        self.pools: ObjectStore[CreditPool] = ObjectStore()
        self.children = Children(self.api, self.installation)
        self.namespaces: ObjectStore[Namespace] = ObjectStore()
        self.accounts: dict[AccountKey, Account] = {}
        self.allocators: dict[str, Allocator] = {}
        self._uid_by_tag: dict[str, str] = {}
        self._tag_by_uid: dict[str, str] = {}
        self._uid_by_home: dict[str, str] = {}
        self._unreadable: dict[str, str] = {}
        self.connections.listen(self._keep_tags)

    # --- taking in what Kubernetes says ----------------------------------------------------------------------------

    def take_connection(self, obj: Object) -> MakiniConnection | None:
        """Put a connection into the store; None if it cannot be read, which is logged once for each version."""
        try:
            return take(self.connections, obj, MakiniConnection.parse)
        except ValidationError as error:
            self._remember_unreadable(obj)
            _logger.warning("MakiniConnection %s is unreadable: %s", _name(obj), _in_short(error))
            return None

    def take_pool(self, obj: Object) -> CreditPool | None:
        """Put a pool into the store; None if it cannot be read."""
        try:
            return take(self.pools, obj, CreditPool.parse)
        except ValidationError as error:
            _logger.warning("CreditPool %s is unreadable: %s", _name(obj), _in_short(error))
            return None

    def take_namespace(self, obj: Object) -> Namespace:
        """Put what is remembered of a namespace into the store."""
        return take(self.namespaces, obj, lambda raw: Namespace(ObjectMeta.model_validate(raw["metadata"])))

    async def labels_of(self, namespace: str) -> dict[str, str]:
        """The labels of a namespace, by a read if no event has told of it yet. Raises `KubeError`."""
        found = self.namespaces.named("", namespace)
        if found is None:
            try:
                found = self.take_namespace(await self.api.get(NAMESPACES, None, namespace))
            except NotFound:
                return {}
        return found.metadata.labels

    async def relist_connections(self) -> None:
        """Read all connections consistently; what is gone is forgotten."""
        known, unreadable = self.connections.uids(), set(self._unreadable)
        listed = await self.api.list_through(
            CONNECTIONS, lambda obj: self.take_connection(obj) or self._tag_of_raw(obj)
        )
        for tag in unreadable.difference(tag for tag in listed if isinstance(tag, str)):
            self._unreadable.pop(tag, None)
        self.connections.replace_all((c for c in listed if not isinstance(c, str)), known_before=known)

    async def relist_everything(self) -> None:
        """Read everything that is watched consistently: finds deletions that a broken watch has missed."""
        known_pools = self.pools.uids()
        pools = await self.api.list_through(POOLS, self.take_pool)
        self.pools.replace_all((p for p in pools if p), known_before=known_pools)
        known_namespaces = self.namespaces.uids()
        namespaces = await self.api.list_through(NAMESPACES, self.take_namespace)
        self.namespaces.replace_all(namespaces, known_before=known_namespaces)
        await self.relist_connections()
        await self.children.relist()

    # --- who belongs to whom ---------------------------------------------------------------------------------------

    def tag_of(self, connection: MakiniConnection) -> str:
        """The tag in the marker of this connection: its own, or the one that it was found with after a restore."""
        if connection.status.adopted:
            return connection.status.adopted
        found = self._tag_by_uid.get(connection.metadata.uid)
        if found is None:
            meta = connection.metadata
            found = marker.tag(self.installation.key, namespace=meta.namespace, name=meta.name, uid=meta.uid)
        return found

    def home_of(self, connection: MakiniConnection) -> str:
        """The home in the marker of this connection."""
        meta = connection.metadata
        return marker.home(self.installation.key, namespace=meta.namespace, name=meta.name)

    def owner_of(self, account: Account, tag: str) -> str | None:
        """The connection that what is alive with this tag belongs to; in a restore, also by its name."""
        found = self.uid_of(tag)
        if found is None and self.installation.is_restoring:
            found = self._uid_by_home.get(account.index.home_of(tag))
        return found

    def adoptable(self, connection: MakiniConnection, account: Account) -> str | None:
        """In a restore: the tag, of a uid that is no more, with which this connection's home is found at Makini."""
        status = connection.status
        if not self.installation.is_restoring or status.adopted:
            return None
        home, recorded = self.home_of(connection), status.connection_id
        there = account.index.tag_at(recorded) if recorded else None
        tags = [there or ""] if recorded else sorted(account.index.alive())
        mine = (tag for tag in tags if tag and self.uid_of(tag) is None and account.index.home_of(tag) == home)
        return next(mine, None)

    def uid_of(self, tag: str) -> str | None:
        """The connection that this tag belongs to, if it is known."""
        return self._uid_by_tag.get(tag) or self._unreadable.get(tag)

    def pool_of(self, connection: MakiniConnection) -> CreditPool | None:
        """The pool that a connection names."""
        return self.pools.named("", connection.spec.pool_ref.name)

    def account_for(self, pool: CreditPool, environment: Environment) -> Account | None:
        """The account that connections of this environment use; None: the pool has none for it."""
        key = account_key(pool, environment)
        if key is None:
            return None
        if key not in self.accounts:
            self.accounts[key] = self.make_account(key)
        return self.accounts[key]

    def accounts_of(self, pool: CreditPool) -> list[Account]:
        """The one or two accounts of a pool."""
        found = [self.account_for(pool, environment) for environment in (Environment.PRODUCTION, Environment.SANDBOX)]
        return [account for account in found if account]

    def unused_accounts(self) -> list[AccountKey]:
        """Accounts that no pool names any more."""
        environments = (Environment.PRODUCTION, Environment.SANDBOX)
        used = {account_key(pool, environment) for pool in self.pools for environment in environments}
        return [key for key in self.accounts if key not in used]

    def pools_of(self, account: Account) -> list[CreditPool]:
        """The pools that use an account."""
        return [pool for pool in self.pools if account in self.accounts_of(pool)]

    def enqueue_pool(self, name: str) -> None:
        """Look at every connection that names this pool."""
        self.enqueue(c.metadata.uid for c in self.connections if c.spec.pool_ref.name == name)

    def enqueue(self, uids: Iterable[str]) -> None:
        """Look at these connections."""
        for uid in uids:
            self.queue.add(uid)

    def _remember_unreadable(self, obj: Object) -> None:
        """A resource that this version cannot read (after a downgrade, say) still owns its connection at Makini."""
        self._unreadable[self._tag_of_raw(obj)] = obj["metadata"]["uid"]

    def _tag_of_raw(self, obj: Object) -> str:
        meta = obj["metadata"]
        return marker.tag(
            self.installation.key, namespace=meta.get("namespace", ""), name=meta["name"], uid=meta["uid"]
        )

    def _keep_tags(self, before: MakiniConnection | None, after: MakiniConnection | None) -> None:
        if after is not None and before is None:
            meta = after.metadata
            tag = marker.tag(self.installation.key, namespace=meta.namespace, name=meta.name, uid=meta.uid)
            self._tag_by_uid[after.metadata.uid] = tag
            self._uid_by_tag[tag] = after.metadata.uid
            self._uid_by_home[self.home_of(after)] = after.metadata.uid
        elif after is None and before is not None:
            tag = self._tag_by_uid.pop(before.metadata.uid, "")
            self._uid_by_tag.pop(tag, None)
            if self._uid_by_home.get(self.home_of(before)) == before.metadata.uid:
                del self._uid_by_home[self.home_of(before)]
        if after is not None and after.status.adopted:
            self._uid_by_tag[after.status.adopted] = after.metadata.uid
        elif before is not None and before.status.adopted:
            self._uid_by_tag.pop(before.status.adopted, None)


def account_key(pool: CreditPool, environment: Environment) -> AccountKey | None:
    """Where connections of this environment live."""
    account = pool.spec.account
    if environment is not Environment.SANDBOX:
        return AccountKey(account.effective_url, account.credentials_secret_ref.name)
    if account.sandbox is None:
        return None
    return AccountKey(account.sandbox.url, account.sandbox.credentials_secret_ref.name)


async def cancel(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait until it has ended."""
    if task is None:
        return
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _name(obj: Object) -> str:
    meta = obj.get("metadata", {})
    return f"{meta.get('namespace', '')}/{meta.get('name', '')}".lstrip("/")


def _in_short(error: ValidationError) -> str:
    """Where it is wrong and how, without the values: those may be secrets that somebody put in the wrong place."""
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)[:5])
