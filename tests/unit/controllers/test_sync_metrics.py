"""Syncs as numbers."""

from types import SimpleNamespace
from typing import Any

from tests.unit.lifecycle.builders import connection

from makini_operator.controllers.sync_metrics import sync_metrics

NAMES = ("a", "b", "c", "d")
SYNCS = [
    {
        "name": name,
        "schedule": "@hourly",
        "entities": ["erp/vendors"],
        "destination": {"duckdb": {"volumeClaimName": "h"}},
    }
    for name in NAMES
]
DONE = {"lastResult": "Succeeded", "lastFinished": "2025-03-01T12:00:00Z", "lastSuccess": "2025-03-01T12:00:00Z"}
FAILED = {"lastResult": "Failed", "lastFinished": "2025-03-01T13:00:00Z", "lastSuccess": "2025-03-01T11:00:00Z"}
LONG_AGO = DONE | {"lastSuccess": "2020-01-01T00:00:00Z"}


def collected(*connections: Any) -> dict[str, float]:
    world: Any = SimpleNamespace(connections=connections)
    samples = [sample for metric in sync_metrics(world) for sample in metric.samples]
    return {sample.labels.get("result", sample.name): sample.value for sample in samples}


def has(*results: dict[str, str], phase: str = "Active", **spec: Any) -> Any:
    told = [{"name": name, "cronJob": "c"} | result for name, result in zip(NAMES, results, strict=False)]
    return connection(status={"phase": phase, "syncs": told}, syncs=SYNCS[: len(results)], **spec)


def test_syncs_of_open_connections_are_counted_and_the_oldest_success_is_told() -> None:
    assert collected(has(DONE, FAILED, {}), has(DONE)) == {
        "succeeded": 2,
        "failed": 1,
        "waiting": 0,
        "none": 1,
        "makini_sync_oldest_success_timestamp_seconds": 1740826800.0,
    }


def test_one_that_does_not_begin_waits_however_its_last_run_ended() -> None:
    stuck = {"waiting": "Unschedulable: no room"}
    assert collected(has(DONE | stuck, FAILED | stuck, stuck, {})) == {
        "succeeded": 0,
        "failed": 0,
        "waiting": 3,
        "none": 1,
        "makini_sync_oldest_success_timestamp_seconds": 1740826800.0,
    }


def test_what_is_not_to_run_is_not_counted() -> None:
    suspended = [SYNCS[0] | {"suspend": True}]
    idle = (has(LONG_AGO, phase="Disconnected"), has(LONG_AGO, suspend=True), connection(syncs=SYNCS))
    one_off = connection(
        status={"phase": "Active", "syncs": [{"name": "a", "cronJob": "c"} | LONG_AGO]}, syncs=suspended
    )
    assert collected(*idle, one_off) == {"succeeded": 0, "failed": 0, "waiting": 0, "none": 0}
