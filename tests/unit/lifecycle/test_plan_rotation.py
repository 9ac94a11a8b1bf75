"""The rotation of a token, step by step, and what begins one."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.lifecycle.builders import (
    CLAIM,
    EARLIER,
    INTACT,
    LIFE,
    NOW,
    UNREACHABLE,
    connection,
    observation,
    pool,
    ready,
    remote,
    secret,
    shown,
)

from makini_operator.lifecycle.actions import (
    DropPrevious,
    ListAccount,
    ProbePrevious,
    PublishToken,
    RestartWorkload,
)
from makini_operator.lifecycle.observation import Observation, SecretState, WorkloadState, WorkloadView
from makini_operator.lifecycle.plan import plan
from makini_operator.lifecycle.requests import ROTATE
from makini_operator.lifecycle.token_times import times
from makini_operator.resources.conditions import find
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.durations import parse_duration
from makini_operator.resources.reasons import ConditionType
from makini_operator.resources.token import RestartTarget, TargetKind

TOKEN = {
    "secretName": "acme-makini",
    "issuedAt": "2025-03-01T12:00:00Z",
    "expiresAt": "2025-03-31T12:00:00Z",
    "rotateAt": "2025-03-19T14:44:52Z",
}
UP: dict[str, Any] = {
    "credits": CLAIM,
    "connectionID": "c1",
    "connectedAt": EARLIER,
    "endpoint": "https://api.makini.io",
    "metadataDigest": "digest",
}
FIRST, SECOND = (RestartTarget(kind=TargetKind.DEPLOYMENT, name=name) for name in ("first", "second"))
WITH_TARGETS = {"rolloutRestart": [FIRST.dump(), SECOND.dump()]}
PENDING, DONE = WorkloadView(WorkloadState.PENDING), WorkloadView(WorkloadState.DONE)
ROLLING = WorkloadView(WorkloadState.ROLLING, "1 of 2 new pods")
STUCK = WorkloadView(WorkloadState.STUCK, "image not found")
BOTH = replace(INTACT, attempt=1, previous_expires_at=NOW + timedelta(days=10))
ASKED = NOW - timedelta(minutes=1)


def rotating(previous: str | None = None, attempt: int = 1) -> dict[str, Any]:
    """A status that records a rotation under way."""
    progress = {"attempt": attempt, "reason": "Due", "startedAt": "2025-03-01T11:59:00Z"}
    return UP | {"token": TOKEN | {"attempt": 1, "rotation": progress | ({"previous": previous} if previous else {})}}


def running(status: dict[str, Any] | None = None, *, asked: datetime | None = None, **changes: Any) -> Observation:
    token = changes.pop("token", None)
    suspend = changes.pop("suspend", False)
    conn = connection(status=status or UP | {"token": TOKEN}, suspend=suspend, **({"token": token} if token else {}))
    if asked:
        notes = conn.metadata.model_copy(update={"annotations": {ROTATE: asked.isoformat()}})
        conn = conn.model_copy(update={"metadata": notes})
    return observation(conn, remote=remote("c1"), **{"secret": INTACT} | changes)


def aged(**age: float) -> Any:
    issued = NOW - timedelta(**age)
    return replace(INTACT, issued_at=issued, expires_at=issued + LIFE)


# --- what begins one -------------------------------------------------------------------------------------------------


def test_it_is_recorded_before_anything_is_done_and_nothing_else_changes() -> None:
    seen = running(secret=aged(days=25))
    decided = plan(seen, NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert decided.status.token is not None
    assert decided.status.token.rotation is not None
    assert (decided.status.token.rotation.attempt, decided.status.token.rotation.reason) == (1, "Due")
    without = decided.status.token.model_copy(update={"rotation": None})
    assert decided.status.model_copy(update={"token": without}) == seen.connection.status


def test_a_recorded_one_is_published_by_whoever_finds_the_record() -> None:
    recorded = rotating() | {"token": rotating()["token"] | {"attempt": None}}
    assert plan(running(recorded), NOW).actions == (PublishToken("c1"),)
    assert plan(running(recorded, pool=pool(is_led=False)), NOW).actions == ()
    assert plan(running(recorded, secret=secret(SecretState.ALTERED)), NOW).actions == (PublishToken("c1"),)


def test_a_request_is_acted_on_once() -> None:
    decided = plan(running(asked=ASKED), NOW)
    assert decided.status is not None
    assert decided.status.handled is not None
    assert decided.status.handled.rotate_at == ASKED.isoformat()
    assert decided.status.token is not None
    assert decided.status.token.rotation is not None
    handled = UP | {"token": TOKEN, "handled": {"rotateAt": ASKED.isoformat()}}
    after = plan(running(handled, asked=ASKED), NOW).status
    assert after is not None
    assert after.token is not None
    assert after.token.rotation is None


@pytest.mark.parametrize("asked", ["2025-01-31T23:59:59Z", "tomorrow", "2025-03-01T11:00:00", ""])
def test_a_request_that_is_old_or_no_time_begins_nothing(asked: str) -> None:
    conn = connection(status=UP | {"token": TOKEN})
    meta = conn.metadata.model_copy(update={"annotations": {ROTATE: asked}})
    decided = plan(observation(conn.model_copy(update={"metadata": meta}), remote=remote("c1"), secret=INTACT), NOW)
    assert decided.status is not None
    assert decided.status.token is not None
    assert (decided.status.token.rotation, decided.status.handled) == (None, None)
    is_complained_of = asked in ("tomorrow", "2025-03-01T11:00:00")
    assert ("is not a time" in ready(decided.status).message) == is_complained_of


def test_only_the_leader_records_one() -> None:
    decided = plan(running(secret=aged(days=25), pool=pool(is_led=False)), NOW)
    assert decided.status is not None
    assert decided.status.token is not None
    assert decided.status.token.rotation is None


@pytest.mark.parametrize(
    ("age", "is_due"), [({"days": 18, "hours": 2}, False), ({"days": 18, "hours": 3}, True), ({"days": 27}, True)]
)
def test_with_a_rotation_under_way_the_next_waits_until_the_token_is_about_to_expire(
    age: dict[str, float], is_due: bool
) -> None:
    at_rest = plan(running(secret=aged(**age)), NOW).status
    assert at_rest is not None
    assert at_rest.token is not None
    assert bool(at_rest.token.rotation) is is_due
    stuck = {"token": WITH_TARGETS, "workloads": {FIRST: STUCK}}
    meanwhile = plan(running(rotating("Works"), secret=replace(aged(**age), attempt=1), **stuck), NOW).status
    assert meanwhile is not None
    assert meanwhile.token is not None
    assert meanwhile.token.rotation is not None
    assert meanwhile.token.rotation.attempt == (2 if age == {"days": 27} else 1)


# --- its steps -------------------------------------------------------------------------------------------------------


def test_the_previous_token_is_tried_before_workloads_are_restarted() -> None:
    seen = running(rotating(), secret=BOTH, token=WITH_TARGETS, workloads={FIRST: PENDING})
    assert plan(seen, NOW).actions == (ProbePrevious("c1"),)
    tried = plan(replace(seen, previous_works=True), NOW)
    assert tried.actions == ()
    assert tried.status is not None
    assert tried.status.token is not None
    assert tried.status.token.rotation is not None
    assert tried.status.token.rotation.previous == "Works"
    recorded = running(rotating("Works"), secret=BOTH, token=WITH_TARGETS, workloads={FIRST: PENDING})
    assert plan(recorded, NOW).actions == (RestartWorkload(TargetKind.DEPLOYMENT, "first"),)


def test_a_previous_token_that_makini_ended_is_recorded_then_dropped_at_once() -> None:
    tried = plan(running(rotating(), secret=BOTH, previous_works=False), NOW)
    assert tried.actions == ()
    assert tried.status is not None
    assert tried.status.token is not None
    assert tried.status.token.rotation is not None
    assert tried.status.token.rotation.previous == "Ended"
    assert plan(running(rotating("Ended"), secret=BOTH), NOW).actions == (DropPrevious(),)


@pytest.mark.parametrize(
    ("workloads", "actions", "reason"),
    [
        ({FIRST: PENDING}, (RestartWorkload(TargetKind.DEPLOYMENT, "first"),), None),
        ({FIRST: ROLLING}, (), "Connected"),
        ({FIRST: STUCK}, (), "RolloutStuck"),
        ({FIRST: DONE, SECOND: PENDING}, (RestartWorkload(TargetKind.DEPLOYMENT, "second"),), None),
        ({FIRST: DONE, SECOND: STUCK}, (), "RolloutStuck"),
        ({FIRST: DONE, SECOND: DONE}, (), "Connected"),
    ],
)
def test_workloads_are_restarted_one_after_the_other_and_one_that_is_stuck_stops_it(
    workloads: dict[RestartTarget, WorkloadView], actions: tuple[Any, ...], reason: str | None
) -> None:
    decided = plan(running(rotating("Works"), secret=BOTH, token=WITH_TARGETS, workloads=workloads), NOW)
    assert decided.actions == actions
    if reason:
        assert decided.status is not None
        assert shown(decided.status)[1] == reason
        assert decided.status.token is not None
        assert decided.status.token.rotation is not None


def test_a_stuck_rollout_is_named_and_the_token_counts_as_ready() -> None:
    seen = running(rotating("Works"), secret=BOTH, token=WITH_TARGETS, workloads={FIRST: STUCK})
    status = plan(seen, NOW).status
    assert status is not None
    assert shown(status) == ("Stalled", "RolloutStuck")
    assert "Deployment first does not come to its end: image not found" in ready(status).message
    token_ready = find(status.conditions or [], ConditionType.TOKEN_READY)
    assert token_ready is not None
    assert (token_ready.status, token_ready.reason) == ("True", "RolloutStuck")


@pytest.mark.parametrize(
    ("age", "workload", "is_dropped"),
    [
        (timedelta(minutes=9), DONE, False),
        (timedelta(minutes=10), DONE, True),
        (timedelta(hours=10), ROLLING, False),
        (timedelta(days=11), ROLLING, True),
    ],
)
def test_the_previous_token_goes_after_its_overlap_and_all_rollouts_or_when_it_has_expired(
    age: timedelta, workload: WorkloadView, is_dropped: bool
) -> None:
    issued = NOW - age
    both = replace(BOTH, issued_at=issued, expires_at=issued + LIFE, previous_expires_at=issued + timedelta(days=10))
    seen = running(rotating("Works"), secret=both, token=WITH_TARGETS, workloads={FIRST: DONE, SECOND: workload})
    assert plan(seen, NOW).actions == ((DropPrevious(),) if is_dropped else ())


def test_when_all_is_done_the_record_goes_and_it_looks_again_when_the_next_is_due() -> None:
    over = plan(running(rotating("Works"), secret=replace(INTACT, attempt=1)), NOW)
    assert over.status is not None
    assert over.status.token is not None
    assert (over.status.token.rotation, over.status.token.attempt) == (None, 1)
    settled = plan(running(over.status.dump(), secret=replace(INTACT, attempt=1)), NOW)
    assert settled.status == over.status


def test_while_it_waits_it_looks_again_in_time() -> None:
    assert plan(running(rotating("Works"), secret=BOTH), NOW).requeue_after == timedelta(minutes=10)
    rolling = running(rotating("Works"), secret=BOTH, token=WITH_TARGETS, workloads={FIRST: ROLLING})
    assert plan(rolling, NOW).requeue_after == timedelta(seconds=3)


def test_with_a_wiped_status_the_secret_tells_that_one_is_under_way() -> None:
    found = plan(running(UP, secret=BOTH), NOW).status
    assert found is not None
    assert found.token is not None
    assert found.token.rotation is not None
    assert found.token.rotation.attempt == 1


def test_makini_being_down_holds_up_the_trial_and_nothing_is_dropped() -> None:
    decided = plan(running(rotating(), secret=BOTH, pool=pool(trouble=UNREACHABLE)), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Reconciling", "MakiniUnreachable")


def test_nothing_is_minted_for_a_connection_that_is_not_listed() -> None:
    recorded = rotating() | {"token": rotating()["token"] | {"attempt": None}}
    assert plan(running(recorded), NOW).actions == (PublishToken("c1"),)
    seen = replace(running(recorded), remote=remote("c2"))
    assert plan(seen, NOW).actions == (ListAccount(),)


def test_fifty_random_harmless_edits_begin_nothing() -> None:
    chance = random.Random(1)  # noqa: S311 - the same edits in each run
    for _ in range(50):
        spec: dict[str, Any] = chance.choice(
            [
                {"metadata": {"n": str(chance.random())}},
                {"priority": chance.randint(0, 9)},
                {"cron_jobs": []},
                {"token": {"readers": [{"serviceAccountName": f"sa-{chance.randint(0, 9)}"}]}},
                {"token": {"secretTemplate": {"labels": {"n": str(chance.randint(0, 9))}}}},
                {"token": WITH_TARGETS},
                {"token": {"rotation": {"every": f"{chance.randint(1, 700)}h"}}},
            ]
        )
        conn = connection(generation=2, status=UP | {"token": TOKEN}, **spec)
        for state in (SecretState.INTACT, SecretState.ALTERED):
            decided = plan(observation(conn, remote=remote("c1"), secret=secret(state)), NOW)
            assert PublishToken("c1") not in decided.actions
            assert decided.status is None or (decided.status.token and not decided.status.token.rotation)


# --- when ------------------------------------------------------------------------------------------------------------


def with_uid(uid: str, **spec: Any) -> MakiniConnection:
    conn = connection(**spec)
    return conn.model_copy(update={"metadata": conn.metadata.model_copy(update={"uid": uid})})


LIVES = st.timedeltas(timedelta(seconds=1), timedelta(days=60))
EVERY = st.one_of(st.none(), st.integers(5, 90_000).map(lambda minutes: f"{minutes}m"))


@given(LIVES, EVERY, st.text(min_size=1), st.booleans())
def test_it_is_never_a_storm_and_never_late_but_for_the_floor(
    life: timedelta, every: str | None, uid: str, suspend: bool
) -> None:
    conn = with_uid(uid, suspend=suspend, **({"token": {"rotation": {"every": every}}} if every else {}))
    found = times(conn, NOW, NOW + life)
    assert found == times(conn, NOW, NOW + life)
    second = timedelta(seconds=1)
    assert found.rotate_at - NOW >= timedelta(minutes=1)
    assert found.rotate_at <= found.urgent_at <= NOW + max(life, timedelta(minutes=1))
    if life > timedelta(minutes=6):
        assert found.rotate_at - NOW >= timedelta(minutes=5) - second
        assert found.rotate_at <= NOW + life * 0.9
    if every and not suspend and parse_duration(every) < life * 0.9 and parse_duration(every) >= timedelta(minutes=6):
        assert parse_duration(every) * 0.9 - second <= found.rotate_at - NOW <= parse_duration(every)


def test_connections_that_were_made_together_do_not_rotate_together() -> None:
    def moments() -> Iterator[datetime]:
        for number in range(100):
            yield times(with_uid(f"uid-{number}"), NOW, NOW + LIFE).rotate_at

    found = list(moments())
    assert len(set(found)) > 95
    assert max(found) - min(found) > timedelta(days=1, hours=12)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("480h", 1_728_000), ("1h30m", 5400), ("90s", 90), ("1h1m1s", 3661)]
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "5 m", "m5", "-5m", "1d", "5m5h", "1.5h", "5m\n"])
def test_what_is_no_duration_is_an_error_that_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 10m"):
        parse_duration(text)
