"""One operator process: builds the world, starts its loops, and ends them in order.

The process ends by itself, with an error, when another one leads a pool: what it knows is
then outdated, and the safest thing to do with outdated knowledge is to drop it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
from kubernetes.aio.client.configuration import Configuration

from makini_operator.controllers.accounts import Account, AccountKey
from makini_operator.controllers.allocator import Allocator
from makini_operator.controllers.handlers import watch
from makini_operator.controllers.health import Health, Metrics, health_page, metrics_page, serve
from makini_operator.controllers.installation import Installation, load_installation
from makini_operator.controllers.reconciler import Reconciler
from makini_operator.controllers.wiring import Wiring
from makini_operator.controllers.workqueue import WorkQueue
from makini_operator.controllers.world import World
from makini_operator.kube.api import CONNECTIONS, POOLS, KubeApi
from makini_operator.kube.errors import Forbidden, KubeError, NotFound
from makini_operator.kube.events import EventRecorder
from makini_operator.kube.session import open_session

_logger = logging.getLogger(__name__)


DRAIN = timedelta(seconds=10)
"""How long reconciles that are under way may take at a clean stop."""

CANCEL_TRIES = 5
"""How often a loop that does not end is cancelled again, a second apart."""


class StartError(Exception):
    """The operator cannot start; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """How to run. `relist_every`: how often Makini accounts are listed; `resync_every`: how often Kubernetes is."""

    namespace: str
    metrics: str | None = None
    health: str | None = None
    workers: int = 8
    relist_every: timedelta = timedelta(minutes=10)
    resync_every: timedelta = timedelta(minutes=5)


class Operator:
    """The loops of one process; the first that fails ends all."""

    def __init__(self, settings: Settings, configuration: Configuration) -> None:
        self._settings = settings
        self._configuration = configuration
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises whatever ended it otherwise."""
        async with open_session(self._configuration) as kube, _makini_session() as makini:
            api = KubeApi(kube)
            await check_cluster(api)
            installation = await load_installation(api, self._settings.namespace)
            world = self._build(api, installation, makini)
            self._stop_on_signals()
            async with self._pages(world):
                try:
                    await watch(world, self._configuration, self._stop)
                finally:
                    await self._end_tasks(world.queue)
        if self._failure is not None:
            raise self._failure

    def _build(self, api: KubeApi, installation: Installation, makini: aiohttp.ClientSession) -> World:
        def make_account(key: AccountKey) -> Account:
            account = Account(
                key,
                api=api,
                namespace=self._settings.namespace,
                session=makini,
                installation_key=installation.key,
                relist_every=self._settings.relist_every,
                on_listed=wiring.account_listed,
                on_changed=wiring.account_changed,
            )
            self._start(_account_task(key), account.run())
            return account

        async def reconcile(uid: str) -> timedelta | None:
            return await reconciler.reconcile(uid)

        queue = WorkQueue(reconcile, workers=self._settings.workers, on_failure=self._count_failure)
        events = EventRecorder(api, instance=installation.id)
        world = World(api, self._settings.namespace, installation, events, make_account, queue)
        reconciler = Reconciler(world)
        wiring = Wiring(world, lead=self._lead, stop=self._end_leading, close=self._close_account)
        self._metrics = Metrics(world)
        self._health = Health(resync_every=self._settings.resync_every.total_seconds())
        self._start("queue", queue.run())
        self._start("resync", self._resync(world))
        return world

    def _count_failure(self) -> None:
        self._metrics.failures.inc()

    async def _resync(self, world: World) -> None:
        while True:
            try:
                await world.relist_everything()
                self._health.cluster_was_read()
            except KubeError as error:
                _logger.warning("the cluster could not be read: %s", error)
            await asyncio.sleep(self._settings.resync_every.total_seconds())

    @contextlib.asynccontextmanager
    async def _pages(self, world: World) -> AsyncIterator[None]:  # noqa: ARG002 - the world must be built first
        runners = []
        if self._settings.health:
            runners.append(await serve(self._settings.health, {"/healthz": health_page(self._health)}))
        if self._settings.metrics:
            runners.append(await serve(self._settings.metrics, {"/metrics": metrics_page(self._metrics)}))
        try:
            yield
        finally:
            for runner in runners:
                await runner.cleanup()

    # --- tasks -----------------------------------------------------------------------------------------------------

    def _lead(self, allocator: Allocator) -> None:
        self._start(f"pool {allocator.uid}", allocator.run())

    def _end_leading(self, uid: str) -> None:
        task = self._tasks.pop(f"pool {uid}", None)
        if task and task is not asyncio.current_task():
            task.cancel()

    def _close_account(self, key: AccountKey) -> None:
        task = self._tasks.pop(_account_task(key), None)
        if task:
            task.cancel()

    def _start(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(loop, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        self._failure = self._failure or task.exception()
        _logger.critical("%s ended: %s", task.get_name(), task.exception())
        self._stop.set()

    async def _end_tasks(self, queue: WorkQueue) -> None:
        """Let reconciles under way come to their end: a token that was minted should reach its Secret."""
        if self._failure is None:
            await queue.close(within=DRAIN)
        tasks = set(self._tasks.values())
        for _ in range(CANCEL_TRIES):
            for task in tasks:
                task.cancel()
            if tasks:
                _, tasks = await asyncio.wait(tasks, timeout=1)
        if tasks:
            _logger.warning("left behind: %s", ", ".join(sorted(task.get_name() for task in tasks)))

    def _stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)


async def check_cluster(api: KubeApi) -> None:
    """See that the resources exist and may be read. Raises `StartError` with the remedy otherwise."""
    try:
        for resource in (POOLS, CONNECTIONS):
            await api.list_all(resource)
    except NotFound:
        raise StartError("the CustomResourceDefinitions are not installed: kubectl apply -f crds/") from None
    except Forbidden as error:
        raise StartError(f"the operator's RBAC is not complete: {error}") from None


def _account_task(key: AccountKey) -> str:
    return f"account {key.url} {key.secret_name}"


def _makini_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=32), cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
    )
