"""One operator process: the real world, wiring, allocators, account index and reconciler over calls that wait."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from tests.unit.exploration.calls import Task
from tests.unit.exploration.cluster import Client, Cluster
from tests.unit.exploration.vendor import Makini, MakiniCalls

from makini_operator.controllers.accounts import Account, AccountKey
from makini_operator.controllers.allocator import Allocator
from makini_operator.controllers.installation import Installation
from makini_operator.controllers.reconciler import Reconciler
from makini_operator.controllers.wiring import Wiring
from makini_operator.controllers.world import World
from makini_operator.kube.api import CONNECTIONS, POOLS
from makini_operator.kube.errors import KubeError, NotFound
from makini_operator.kube.events import EventRecorder
from makini_operator.kube.lease import LeadershipLost
from makini_operator.lifecycle.marker import InstallationKey

KEY = InstallationKey(b"k" * 32)
SOON = timedelta(seconds=1)
"""What is to be looked at again so soon is looked at again; the rest is, at rest."""


class Keys:
    """The work queue, without workers: uids that somebody has to look at."""

    def __init__(self) -> None:
        self.waiting: dict[str, None] = {}

    def add(self, uid: str, *, first: bool = False) -> None:
        self.waiting = {uid: None} | self.waiting if first else self.waiting | {uid: None}


class Process:
    """Everything that one process knows and does. It stands still unless `work` or `watch` is called."""

    def __init__(self, cluster: Cluster, makini: Makini) -> None:
        self._cluster, self._makini = cluster, makini
        self.keys = Keys()
        self.tasks: dict[str, Task] = {}
        self.has_ended = False
        self.allocators: dict[str, Allocator] = {}
        self._closed: set[AccountKey] = set()
        api: Any = Client(cluster)
        queue: Any = self.keys
        installation = Installation("i", KEY, None)
        self.world = World(api, "makini-system", installation, EventRecorder(api, instance="i"), self._account, queue)
        self.wiring = Wiring(
            self.world,
            lead=lambda allocator: self.allocators.update({allocator.uid: allocator}),
            stop=self._stop,
            close=self._closed.add,
        )
        self.reconciler = Reconciler(self.world)
        self._read = 0
        self._list_what_exists()

    def _list_what_exists(self) -> None:
        """Kopf lists before it watches."""
        for obj in self._cluster.all(POOLS):
            self.world.take_pool(obj)
        for obj in self._cluster.all(CONNECTIONS):
            self.world.take_connection(obj)
        self._read = len(self._cluster.log)

    def _account(self, key: AccountKey) -> Account:
        api: Any = self.world.api
        session: Any = None
        account = Account(
            key,
            api=api,
            namespace="makini-system",
            session=session,
            installation_key=KEY,
            relist_every=timedelta(minutes=10),
            requests_per_second=1.0,
            on_listed=self._listed,
            on_changed=self._changed,
        )
        calls: Any = MakiniCalls(self._makini)
        account.identity, account.client = "account", calls
        return account

    async def _listed(self, account: Account, tags: set[str]) -> None:
        await self.wiring.account_listed(account, tags)

    def _changed(self, account: Account) -> None:
        self.wiring.account_changed(account)

    def _stop(self, uid: str) -> None:
        self.allocators.pop(uid, None)
        task = self.tasks.pop(f"pool {uid}", None)
        if task:
            task.end()

    # --- what it does ----------------------------------------------------------------------------------------------

    def watch(self, count: int) -> bool:
        """Take in so many events; returns whether there were any."""
        events = self._cluster.log[self._read : self._read + count]
        self._read += len(events)
        for plural, obj, is_gone in events:
            if plural == POOLS.plural:
                self.world.pools.remove(obj["metadata"]["uid"]) if is_gone else self.world.take_pool(obj)
            elif is_gone:
                self.world.connections.remove(obj["metadata"]["uid"])
            else:
                self.world.take_connection(obj)
        return bool(events)

    def begin(self) -> None:
        """Start every task that has a reason to run, one for each pool, account and connection."""
        for uid, allocator in list(self.allocators.items()):
            if allocator._wake.is_set() or not allocator.is_leading:
                self._begin(f"pool {uid}", self._allocate(allocator))
        for key, account in list(self.world.accounts.items()):
            if account.index.is_wanted:
                self.list_account(key)
        for uid in list(self.keys.waiting):
            if f"connection {uid}" not in self.tasks:
                del self.keys.waiting[uid]
                self._begin(f"connection {uid}", self._reconcile(uid))

    @property
    def has_work(self) -> bool:
        """Whether `begin` would start something."""
        is_wanted = any(account.index.is_wanted for account in self.world.accounts.values())
        return bool(self.keys.waiting) or is_wanted or any(a._wake.is_set() for a in self.allocators.values())

    def list_account(self, key: AccountKey) -> None:
        """Also without a reason: an account is listed now and then."""
        self._begin(f"account {key.secret_name}", self.world.accounts[key]._list())

    async def _reconcile(self, uid: str) -> None:
        after = await self.reconciler.reconcile(uid)
        if after is not None and after < SOON:
            self.keys.add(uid)

    async def _allocate(self, allocator: Allocator) -> None:
        """What `Allocator.run` does between two waits."""
        allocator._wake.clear()
        try:
            if not allocator.is_leading:
                await allocator._take_over()
            await allocator._settle()
        except NotFound:
            self.world.pools.remove(allocator.uid)
        except KubeError:
            allocator.wake()

    def _begin(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        if name in self.tasks:
            coroutine.close()
            return
        self.tasks[name] = task = Task(name, coroutine)
        task.begin()
        self._settle(task)

    def answer(self, task: Task) -> None:
        task.answer()
        self._settle(task)

    def lose(self, task: Task) -> None:
        task.lose()
        self._settle(task)

    def turn_away(self, task: Task) -> None:
        task.turn_away()
        self._settle(task)

    def _settle(self, task: Task) -> None:
        if not task.is_done:
            return
        self.tasks.pop(task.name, None)
        if isinstance(task.error, LeadershipLost):
            self.end()
        elif task.error is not None:
            kind, _, key = task.name.partition(" ")
            if kind == "connection" and not isinstance(task.error, AssertionError):
                self.keys.add(key)
            if isinstance(task.error, AssertionError):
                raise task.error

    def end(self) -> None:
        """A crash, or the end that leadership's loss leads to."""
        self.has_ended = True
        for task in self.tasks.values():
            task.end()
        self.tasks.clear()
