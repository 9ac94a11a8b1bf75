"""Kopf's part, and the only module that knows kopf: watching, re-authentication, shutdown.

Low-level `on.event` handlers only: they cost no writes and are level-triggered, which is
what kopf's documentation advises for an operator of this kind. A handler puts what it hears
into a store; the stores' listeners decide who has to look again (`wiring.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import kopf
from kubernetes.aio.client.configuration import Configuration

from makini_operator.controllers.world import World
from makini_operator.kube.api import TAKEN_AT_ONCE
from makini_operator.kube.session import open_session
from makini_operator.kube.store import ObjectStore
from makini_operator.manifests import sync_run
from makini_operator.manifests.ownership import MANAGED_SELECTOR
from makini_operator.resources.base import API_VERSION, GROUP

EXIT_TIMEOUT = 2.0
"""Seconds that kopf gives running handlers at shutdown; ours only hand over."""
IDLE_TIMEOUT = 0.5
"""Seconds that kopf keeps a worker for an object that is quiet; also how long a clean stop takes."""
STOP_WITHIN = 15.0
"""Seconds that kopf gets to stop; it takes about one."""
SWITCH_INTERVAL = 0.0005
"""Seconds that kopf's thread may keep the interpreter while the main one wants it; each of its own calls to the network
gives it away. With Python's default of 5 ms a large first listing starves the main loop."""
_CORE, _BATCH, _RBAC, _NETWORK = "v1", "batch/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"
_DELETED = "DELETED"
_logger = logging.getLogger(__name__)


class WatchEnded(Exception):
    """Kopf has ended by itself: the process must not live on blind."""


async def watch(world: World, configuration: Configuration, stop: asyncio.Event) -> None:
    """Watch the two resources and the children that we make until `stop` is set.

    Kopf runs in a thread with a loop of its own: at its exit it waits for, and cancels, every task
    of its loop, ours included. What it hears crosses over as calls into this loop, in order.
    """
    loop = asyncio.get_running_loop()
    registry = kopf.OperatorRegistry()
    _configure(registry, configuration)
    _listen(registry, world, loop)
    kopf_stop = threading.Event()
    stopping = asyncio.ensure_future(stop.wait())
    ending = _hear_of_the_end(registry, loop)
    watching = _in_thread(lambda: _operate(registry, kopf_stop), loop)
    any_end: set[asyncio.Future[Any]] = {watching, ending, stopping}
    try:
        await asyncio.wait(any_end, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        kopf_stop.set()
        await asyncio.wait({watching}, timeout=STOP_WITHIN)
    why = watching.exception() if watching.done() else None
    if not watching.done():
        _logger.warning("kopf has not stopped within %.0f s and is left behind", STOP_WITHIN)
    if not stop.is_set():
        raise WatchEnded(f"kopf has stopped watching without being asked to: {why or 'no reason given'}")


def _hear_of_the_end(registry: kopf.OperatorRegistry, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """Kopf cleans up first and may then wait without end for watches that do not stop; this future does not wait."""
    ending: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not ending.done():
            ending.set_result(None)

    @kopf.on.cleanup(registry=registry)
    async def clean_up(**_: Any) -> None:
        loop.call_soon_threadsafe(end)

    return ending


async def _operate(registry: kopf.OperatorRegistry, stop: threading.Event) -> None:
    """Kopf waits for `stop` in a thread of its own, which must end with it, or the loop would never close."""
    try:
        await kopf.operator(registry=registry, clusterwide=True, standalone=True, stop_flag=stop)
    finally:
        stop.set()


def _in_thread(work: Callable[[], Coroutine[Any, Any, None]], loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """Run a loop in a daemon thread, which cannot keep the process from ending; the future tells when it is over."""
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            asyncio.run(work())
        except Exception as caught:  # noqa: BLE001 - handed over to whoever waits
            error = caught
        with contextlib.suppress(RuntimeError):  # the process is ending and its loop is closed
            loop.call_soon_threadsafe(finish, error)

    sys.setswitchinterval(SWITCH_INTERVAL)
    threading.Thread(target=run, name="kopf", daemon=True).start()
    return done


def _configure(registry: kopf.OperatorRegistry, configuration: Configuration) -> None:
    @kopf.on.startup(registry=registry)
    async def settle(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.peering.standalone = True
        settings.persistence.finalizer = f"{GROUP}/kopf"
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
        settings.queueing.exit_timeout = EXIT_TIMEOUT
        settings.queueing.idle_timeout = IDLE_TIMEOUT
        settings.networking.request_timeout = 20
        selectors = settings.watching.label_selectors
        for api, plural in (
            (_CORE, "secrets"),
            (_BATCH, "cronjobs"),
            (_RBAC, "roles"),
            (_RBAC, "rolebindings"),
            (_NETWORK, "networkpolicies"),
        ):
            selectors[api, plural] = MANAGED_SELECTOR
        selectors[_BATCH, "jobs"] = sync_run.SELECTOR

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.AiohttpSession:
        session = open_session(configuration)
        return kopf.AiohttpSession(aiohttp_session=session, server=configuration.host, default_namespace="default")


class _Intake:
    """Hands what kopf hears over to the main loop, in order, some at a time: a first listing must not hold it up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heard: deque[Callable[[], object]] = deque()
        self._is_taking = False

    def put(self, call: Callable[[], object]) -> None:
        """Called in kopf's thread."""
        self._heard.append(call)
        self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if not self._is_taking:
            self._is_taking = True
            self._loop.call_soon(self._take_some)

    def _take_some(self) -> None:
        """Some now, the others in the loop's next turn; one that fails does not keep them back."""
        try:
            for _ in range(min(len(self._heard), TAKEN_AT_ONCE)):
                self._heard.popleft()()
        finally:
            self._is_taking = bool(self._heard)
            if self._is_taking:
                self._loop.call_soon(self._take_some)


def _listen(registry: kopf.OperatorRegistry, world: World, loop: asyncio.AbstractEventLoop) -> None:
    intake, children = _Intake(loop), world.children

    def listen(api: str, plural: str, take: Callable[[dict[str, Any]], object], store: ObjectStore[Any]) -> None:
        @kopf.on.event(api, plural, id=plural, registry=registry)
        async def handle(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's name
            raw = dict(body)
            if type == _DELETED:
                intake.put(partial(store.remove, raw["metadata"]["uid"], version=raw["metadata"]["resourceVersion"]))
            else:
                intake.put(partial(take, raw))

    listen(_CORE, "namespaces", world.take_namespace, world.namespaces)
    listen(API_VERSION, "makiniconnections", world.take_connection, world.connections)
    listen(API_VERSION, "creditpools", world.take_pool, world.pools)
    listen(_CORE, "secrets", children.take_secret, children.secrets)
    listen(_BATCH, "cronjobs", children.take_cron_job, children.cron_jobs)
    listen(_BATCH, "jobs", children.take_sync_run, children.sync_runs)
    listen(_RBAC, "roles", children.take_role, children.roles)
    listen(_RBAC, "rolebindings", children.take_role_binding, children.role_bindings)
    listen(_NETWORK, "networkpolicies", children.take_network_policy, children.network_policies)


def quieten() -> None:
    """Kopf logs each event that it handles; ours says the same better."""
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
