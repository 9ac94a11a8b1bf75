"""What a process does while it leads: it builds the world, runs its loops, and ends them in order.

The loops end, with an error, when another process leads a pool: what they know is then outdated, and the safest
thing to do with outdated knowledge is to drop it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import aiohttp

from makini_operator.controllers.accounts import Account, AccountKey
from makini_operator.controllers.allocator import Allocator
from makini_operator.controllers.health import Health, Metrics
from makini_operator.controllers.installation import SECRET_NAME, InstallationError, load_installation
from makini_operator.controllers.reconciler import Reconciler
from makini_operator.controllers.settings import Settings
from makini_operator.controllers.wiring import Wiring
from makini_operator.controllers.workqueue import WorkQueue
from makini_operator.controllers.world import World
from makini_operator.kube.api import KubeApi
from makini_operator.kube.errors import KubeError
from makini_operator.kube.events import EventRecorder
from makini_operator.manifests.sync import SyncImage

DRAIN = timedelta(seconds=10)
"""How long reconciles that are under way may take at a clean stop."""

CANCEL_TRIES = 5
"""How often a loop that does not end is cancelled again, a second apart."""
INSTALLATION_CHECK = 3.0
"""Seconds between looks at an installation that waits for an admin."""
_logger = logging.getLogger(__name__)


class Leading:
    """The loops of one leader; the first that fails sets `stop` and is kept as `failure`."""

    def __init__(self, settings: Settings, stop: asyncio.Event, health: Health, metrics: Metrics) -> None:
        self.failure: BaseException | None = None
        self._settings, self._stop = settings, stop
        self._health, self._metrics = health, metrics
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._queue: WorkQueue | None = None

    async def begin(self, api: KubeApi, makini: aiohttp.ClientSession) -> World:
        """Build the world and start its loops. Raises `InstallationError`, `KubeError`."""
        self._health.begins_to_lead()
        installation = await load_installation(api, self._settings.namespace)

        def make_account(key: AccountKey) -> Account:
            account = Account(
                key,
                api=api,
                namespace=self._settings.namespace,
                session=makini,
                installation_key=installation.key,
                relist_every=self._settings.relist_every,
                requests_per_second=self._settings.account_requests_per_second,
                on_listed=wiring.account_listed,
                on_changed=wiring.account_changed,
            )
            self.start(_account_task(key), account.run())
            return account

        async def reconcile(uid: str) -> timedelta | None:
            return await reconciler.reconcile(uid)

        queue = self._queue = WorkQueue(
            reconcile, workers=self._settings.workers, on_failure=self._metrics.failures.inc
        )
        events = EventRecorder(api, instance=installation.id)
        sync_image = SyncImage(self._settings.sync_image, self._settings.sync_image_pull_policy)
        world = World(
            api,
            self._settings.namespace,
            installation,
            events,
            make_account,
            queue,
            sync_image,
            self._settings.sync_begin_within,
        )
        reconciler = Reconciler(world)
        wiring = Wiring(world, lead=self._lead, stop=self._end_leading, close=self._close_account)
        self._metrics.show(world)
        self.start("queue", queue.run())
        self.start("resync", self._resync(world))
        if installation.trouble or installation.is_restoring:
            self.start("installation", self._follow_installation(world))
        return world

    def start(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        """Run a loop that must not end."""
        task = asyncio.create_task(loop, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._ended)

    async def end(self) -> None:
        """Let reconciles under way come to their end: a token that was minted should reach its Secret."""
        if self.failure is None and self._queue:
            await self._queue.close(within=DRAIN)
        tasks = set(self._tasks.values())
        for _ in range(CANCEL_TRIES):
            for task in tasks:
                task.cancel()
            if tasks:
                _, tasks = await asyncio.wait(tasks, timeout=1)
        if tasks:
            _logger.warning("left behind: %s", ", ".join(sorted(task.get_name() for task in tasks)))

    async def _resync(self, world: World) -> None:
        while True:
            try:
                await world.relist_everything()
                self._health.cluster_was_read()
            except KubeError as error:
                _logger.warning("the cluster could not be read: %s", error)
            await asyncio.sleep(self._settings.resync_every.total_seconds())

    async def _follow_installation(self, world: World) -> None:
        """Wait for an admin to confirm a restore, and to finish it; then everything is looked at again.

        Raises `InstallationError` when the Secret has become another installation's.
        """
        while world.installation.trouble or world.installation.is_restoring:
            await asyncio.sleep(INSTALLATION_CHECK)
            try:
                found = await load_installation(world.api, self._settings.namespace)
            except KubeError as error:
                _logger.warning("the installation could not be read: %s", error)
                continue
            if found == world.installation:
                continue
            if (found.id, found.key) != (world.installation.id, world.installation.key):
                raise InstallationError(f"Secret {SECRET_NAME} is another installation's now: starting anew")
            world.installation = found
            _logger.warning(
                "installation: %s", "a restore is confirmed" if found.is_restoring else "in normal operation"
            )
            for account in world.accounts.values():
                account.index.request()
            for allocator in world.allocators.values():
                allocator.wake()
            world.enqueue(world.connections.uids())

    def _lead(self, allocator: Allocator) -> None:
        self.start(f"pool {allocator.uid}", allocator.run())

    def _end_leading(self, uid: str) -> None:
        task = self._tasks.pop(f"pool {uid}", None)
        if task and task is not asyncio.current_task():
            task.cancel()

    def _close_account(self, key: AccountKey) -> None:
        task = self._tasks.pop(_account_task(key), None)
        if task:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        self.failure = self.failure or task.exception()
        _logger.critical("%s ended: %s", task.get_name(), task.exception())
        self._stop.set()


def _account_task(key: AccountKey) -> str:
    return f"account {key.url} {key.secret_name}"
