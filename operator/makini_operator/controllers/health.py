"""`/healthz` and `/metrics`: whether the process does its work, and what it has seen.

Healthy means that the cluster was read completely, or the Lease by one that stands by, within
the last few resyncs; one that can no longer read says 503 and is restarted. A process whose
watches have ended ends by itself (`handlers.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from makini_operator.controllers.sync_metrics import sync_metrics
from makini_operator.controllers.token_metrics import token_metrics
from makini_operator.controllers.world import World

STALE_AFTER = 3
"""Resync intervals without a complete read, after which the process is not healthy."""


class Health:
    """When the cluster was last read completely, in the loop's seconds."""

    def __init__(self, *, resync_every: float) -> None:
        self._limit = resync_every * STALE_AFTER
        self._read_at: float | None = None

    def cluster_was_read(self) -> None:
        """Everything was listed just now; by one that stands by, the Lease was read."""
        self._read_at = asyncio.get_running_loop().time()

    def begins_to_lead(self) -> None:
        """From now on only a complete read of the cluster counts."""
        self._read_at = None

    def trouble(self) -> str | None:
        """Why this process should be restarted, or None."""
        if self._read_at is None:
            return "the cluster has not been read yet"
        age = asyncio.get_running_loop().time() - self._read_at
        return f"the cluster was last read {age:.0f} s ago" if age > self._limit else None


class Metrics(Collector):
    """What Prometheus scrapes; gauges are read from the stores at each scrape."""

    def __init__(self) -> None:
        self._world: World | None = None
        self.registry = CollectorRegistry()
        self.failures = Counter(
            "makini_reconcile_failures", "Reconciles that ended in an unexpected error.", registry=self.registry
        )
        self.registry.register(self)

    def show(self, world: World) -> None:
        """This process leads: there is something to see."""
        self._world = world

    def collect(self) -> Iterable[Metric]:
        """Whether this process leads; if it does, pools' books, connections by phase, the length of the queue."""
        leads = GaugeMetricFamily("makini_leader", "1 while this process leads, 0 while it stands by.")
        leads.add_metric([], 0 if self._world is None else 1)
        return [leads, *(self._of_world(self._world) if self._world else [])]

    def _of_world(self, world: World) -> list[Metric]:
        credits_ = GaugeMetricFamily("makini_pool_credits", "Credits of a pool.", labels=["pool", "state"])
        for pool in world.pools:
            books = pool.status.credits
            if books:
                allocator = world.allocators.get(pool.metadata.uid)
                amounts = {"total": books.total, "held": books.held, "waiting": books.waiting}
                for state, amount in (amounts | (allocator.audit if allocator else {})).items():
                    credits_.add_metric([pool.metadata.name, state], amount)
        phases: dict[str, int] = {}
        for connection in world.connections:
            phase = connection.status.phase or "New"
            phases[phase] = phases.get(phase, 0) + 1
        connections = GaugeMetricFamily("makini_connections", "Connections by phase.", labels=["phase"])
        for phase, count in sorted(phases.items()):
            connections.add_metric([phase], count)
        queue = GaugeMetricFamily("makini_queue_length", "Connections that wait for a worker.", len(world.queue))
        return [credits_, connections, queue, *token_metrics(world), *sync_metrics(world)]


async def serve(address: str, routes: dict[str, Callable[[], tuple[int, str]]]) -> web.AppRunner:
    """Serve plain-text pages at HOST:PORT; the caller cleans the runner up."""
    host, _, port = address.rpartition(":")
    app = web.Application()
    for path, page in routes.items():
        app.router.add_get(path, _handler(page))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    return runner


def health_page(health: Health) -> Callable[[], tuple[int, str]]:
    """`ok`, or 503 and why."""

    def page() -> tuple[int, str]:
        trouble = health.trouble()
        return (200, "ok\n") if trouble is None else (503, trouble + "\n")

    return page


def metrics_page(metrics: Metrics) -> Callable[[], tuple[int, str]]:
    """The metrics in Prometheus' text format."""
    return lambda: (200, generate_latest(metrics.registry).decode())


def _handler(page: Callable[[], tuple[int, str]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        status, text = page()
        return web.Response(status=status, text=text)

    return handle
