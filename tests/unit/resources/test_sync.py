"""Syncs: what the models take and write, and that the schema says what the program says."""

import re
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.lifecycle.builders import SPEC

from makini_operator.resources.connection import MakiniConnection, MakiniConnectionSpec
from makini_operator.resources.crd import KINDS, definition
from makini_operator.resources.durations import DURATION_FORM, parse_duration
from makini_operator.resources.entities import ENTITIES
from makini_operator.resources.sync import HealthPolicy, Sync, SyncFailures
from makini_operator.resources.sync_status import SyncResult, SyncStatus
from makini_operator.sync import times
from makini_operator.sync.destinations.base import checked_dataset
from makini_operator.sync.entities import all_entities
from makini_operator.sync.errors import BadSettings

SYNC: dict[str, Any] = {
    "name": "orders",
    "schedule": "*/15 * * * *",
    "timeZone": "Europe/Berlin",
    "suspend": True,
    "entities": ["erp/purchase-orders", "erp/vendors"],
    "window": "2160h",
    "destination": {"postgres": {"credentialsSecretRef": {"name": "history", "key": "dsn"}, "dataset": "acme"}},
    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
}


def schema(*path: str) -> dict[str, Any]:
    """The schema of a field of one sync, as the CRD has it."""
    (kind,) = (kind for kind in KINDS if kind.name == "MakiniConnection")
    (version,) = definition(kind)["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["syncs"]["items"]
    for name in path:
        found = found["items"] if name == "[]" else found["properties"][name]
    return found


# --- the models ------------------------------------------------------------------------------------------------------


def test_a_sync_is_written_as_it_was_read() -> None:
    assert Sync.model_validate(SYNC).dump() == SYNC


def test_a_connection_has_syncs_and_says_what_their_failure_means() -> None:
    spec = SPEC | {"syncs": [SYNC], "healthPolicy": {"syncFailures": "Degrade"}}
    connection = MakiniConnection.parse({"metadata": {"name": "acme"}, "spec": spec})
    (sync,) = connection.spec.syncs or ()
    assert (sync.name, sync.time_zone, sync.suspend) == ("orders", "Europe/Berlin", True)
    assert connection.spec.health_policy == HealthPolicy(sync_failures=SyncFailures.DEGRADE)


def test_a_connection_without_syncs_writes_none() -> None:
    written = MakiniConnectionSpec.model_validate(SPEC).dump()
    assert not written.keys() & {"syncs", "healthPolicy"}


@pytest.mark.parametrize("field", ["name", "schedule", "entities", "destination"])
def test_what_is_required_of_a_sync_is_required(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Sync.model_validate({name: value for name, value in SYNC.items() if name != field})


def test_fields_of_a_newer_version_are_no_error() -> None:
    newer = SYNC | {"priority": 3, "destination": SYNC["destination"] | {"iceberg": {}}}
    assert Sync.model_validate(newer).dump() == SYNC


@pytest.mark.parametrize(
    ("destination", "dataset", "volume"),
    [
        (SYNC["destination"], "acme", None),
        ({"postgres": {"credentialsSecretRef": {"name": "history", "key": "dsn"}}}, None, None),
        ({"files": {"url": "s3://history/acme", "credentialsSecretRef": {"name": "s3"}}}, None, None),
        ({"files": {"url": "file:///history", "volumeClaimName": "v", "dataset": "acme"}}, "acme", "v"),
        ({"duckdb": {"volumeClaimName": "v"}}, None, "v"),
        ({"duckdb": {"volumeClaimName": "v", "dataset": "acme"}}, "acme", "v"),
    ],
)
def test_a_destination_knows_its_dataset_and_its_volume(
    destination: dict[str, Any], dataset: str | None, volume: str | None
) -> None:
    found = Sync.model_validate(SYNC | {"destination": destination}).destination
    assert (found.dataset, found.volume_claim) == (dataset, volume)
    assert found.dump() == destination


def test_a_syncs_status_is_written_as_it_was_read() -> None:
    status = {
        "name": "orders",
        "cronJob": "acme-orders-1a2b",
        "lastResult": "Succeeded",
        "lastFinished": "2026-01-01T00:00:09Z",
        "lastSuccess": "2026-01-01T00:00:09Z",
        "message": "3 records of erp/purchase-orders",
    }
    assert SyncStatus.model_validate(status).dump() == status
    assert SyncStatus(name="orders", cron_job="c").dump() == {"name": "orders", "cronJob": "c"}
    assert [result.value for result in SyncResult] == ["Succeeded", "Failed"]


# --- the schema says what the program says ---------------------------------------------------------------------------


def test_the_entities_are_those_that_the_program_reads() -> None:
    assert list(ENTITIES) == sorted(entity.name for entity in all_entities())
    assert schema("entities", "[]")["enum"] == list(ENTITIES)
    assert all(len(name) <= schema("entities", "[]")["maxLength"] for name in ENTITIES)


@pytest.mark.parametrize("kind", ["postgres", "files", "duckdb"])
@pytest.mark.parametrize(
    "name",
    [
        *("a", "acme", "acme_1", "a" * 40, "staging", "public_", "pgx", "mains", "temporary"),
        *("", "Acme", "1acme", "_acme", "acme-eu", "a.b", "ä", "acme\n", "a" * 41, "pg_", "pg_acme", "x_staging"),
        *("_staging", "public", "main", "temp", "information_schema"),
    ],
)
def test_a_dataset_is_refused_by_the_schema_when_the_program_would_refuse_it(kind: str, name: str) -> None:
    ((rule),) = schema("destination", kind, "dataset")["x-kubernetes-validations"]
    form = re.fullmatch(r"self\.matches\('(?P<only>.+)'\) && !self\.matches\('(?P<but>.+)'\)", rule["rule"])
    assert form, "the rule has another form now: mend this test"
    by_schema = bool(re.search(_re2(form["only"]), name)) and not re.search(_re2(form["but"]), name)
    try:
        checked_dataset(name)
    except BadSettings:
        assert not by_schema
    else:
        assert by_schema


@pytest.mark.parametrize("text", ["2160h", "1h30m", "90s", "99999h", "1h2m3s", "0h1s"])
def test_a_window_that_the_schema_lets_through_is_one_for_the_program(text: str) -> None:
    assert re.search(_re2(DURATION_FORM), text)
    assert times.parse_duration(text) == parse_duration(text) > timedelta()


# --- durations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("2160h", timedelta(days=90)),
        ("0s", timedelta()),
        ("1h0m5s", timedelta(hours=1, seconds=5)),
    ],
)
def test_a_duration_is_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "90d", "h", "10", "-1h", "1m1h", "1.5h", "100000h", " 1h", "1h ", "all"])
def test_what_is_no_duration_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 10m, 12h or 1h30m, found"):
        parse_duration(text)


def _re2(pattern: str) -> str:
    r"""In RE2 `$` is the end of the text; Python would let a line's end follow."""
    return pattern.replace("$", r"\Z")
