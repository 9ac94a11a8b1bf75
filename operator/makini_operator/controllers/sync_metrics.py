"""What Prometheus learns about syncs: how their last runs ended, which do not begin, and the oldest last success.

No series for each: who it is says the connection's status.
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from makini_operator.controllers.world import World
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.connection_status import Phase
from makini_operator.resources.sync_status import SyncResult, SyncStatus

RESULTS = {SyncResult.SUCCEEDED: "succeeded", SyncResult.FAILED: "failed", None: "none"}
WAITING = "waiting"
"""Its run does not begin: that counts, however the one before it ended."""


def sync_metrics(world: World) -> list[Metric]:
    """`makini_syncs` by result, of connections that are open, and the oldest last success as unix time."""
    counts = dict.fromkeys((*RESULTS.values(), WAITING), 0)
    successes = []
    for connection in world.connections:
        for sync in _running(connection):
            counts[WAITING if sync.waiting else RESULTS[sync.last_result]] += 1
            if sync.last_success:
                successes.append(datetime.fromisoformat(sync.last_success).timestamp())
    syncs = GaugeMetricFamily(
        "makini_syncs", "Syncs of open connections by their last result, or waiting.", labels=["result"]
    )
    for result, count in counts.items():
        syncs.add_metric([result], count)
    oldest = GaugeMetricFamily(
        "makini_sync_oldest_success_timestamp_seconds", "Of the last successes of all such syncs, the oldest."
    )
    if successes:
        oldest.add_metric([], min(successes))
    return [syncs, oldest]


def _running(connection: MakiniConnection) -> list[SyncStatus]:
    """Syncs that have to run: of an open connection, neither suspended nor left out of the spec."""
    if connection.status.phase is not Phase.ACTIVE or connection.spec.suspend:
        return []
    wanted = {sync.name for sync in connection.spec.syncs or [] if not sync.suspend}
    return [sync for sync in connection.status.syncs or [] if sync.name in wanted]
