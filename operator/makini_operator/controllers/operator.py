"""One operator process: stands by until it holds the Lease, leads, and gives the Lease back.

Whatever ends the leading, nothing is changed after it: each write to Kubernetes and each call to Makini asks the
Lease first, in the session itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable

import aiohttp
from kubernetes.aio.client.configuration import Configuration

from makini_operator.controllers.handlers import watch
from makini_operator.controllers.health import Health, Metrics, health_page, metrics_page, serve
from makini_operator.controllers.leading import Leading
from makini_operator.controllers.settings import Settings
from makini_operator.kube.api import CONNECTIONS, POOLS, KubeApi
from makini_operator.kube.errors import Forbidden, NotFound
from makini_operator.kube.lease import Lease, Timing
from makini_operator.kube.session import only_while, open_session


class StartError(Exception):
    """The operator cannot start; the message says what to do."""


class Operator:
    """The life of one process."""

    def __init__(self, settings: Settings, configuration: Configuration) -> None:
        self._settings = settings
        self._configuration = configuration
        self._stop = asyncio.Event()
        self._health = Health(resync_every=settings.resync_every.total_seconds())
        self._metrics = Metrics()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises whatever ended it otherwise."""
        async with open_session(self._configuration) as session:
            api = KubeApi(session)
            await check_cluster(api)
            self._stop_on_signals()
            async with self._pages():
                if self._settings.lease_duration is None:
                    await self._lead(None)
                else:
                    timing = Timing(self._settings.lease_duration.total_seconds())
                    lease = Lease(api, self._settings.namespace, identity=self._settings.identity, timing=timing)
                    await self._take_turns(lease)

    async def _take_turns(self, lease: Lease) -> None:
        """Stand by, lead, give the Lease back."""
        acquiring = asyncio.ensure_future(lease.acquire(on_look=self._health.cluster_was_read))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not acquiring.done():
            acquiring.cancel()
            await asyncio.wait({acquiring})
        try:
            if not acquiring.cancelled():
                acquiring.result()
                await self._lead(lease)
        finally:
            await lease.release()

    async def _lead(self, lease: Lease | None) -> None:
        leading = Leading(self._settings, self._stop, self._health, self._metrics)
        check = lease.check if lease else _free_to_act
        kube = open_session(self._configuration, only_while(check, reads=False))
        async with kube, _makini_session(check) as makini:
            if lease:
                leading.start("lease", lease.keep())
            try:
                world = await leading.begin(KubeApi(kube), makini)
                await watch(world, self._configuration, self._stop)
            finally:
                await leading.end()
        if leading.failure is not None:
            raise leading.failure

    @contextlib.asynccontextmanager
    async def _pages(self) -> AsyncIterator[None]:
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

    def _stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)


async def check_cluster(api: KubeApi) -> None:
    """See that the resources exist and may be read. Raises `StartError` with the remedy otherwise."""
    try:
        for resource in (POOLS, CONNECTIONS):
            await api.check_list(resource)
    except NotFound:
        raise StartError("the CustomResourceDefinitions are not installed: kubectl apply -f crds/") from None
    except Forbidden as error:
        raise StartError(f"the operator's RBAC is not complete: {error}") from None


def _free_to_act() -> None:
    """Without a Lease there is nobody to ask."""


def _makini_session(check: Callable[[], None]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=32),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
        middlewares=(only_while(check, reads=True),),
    )
