"""Conditions: what moves their time, and what they never do."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makini_operator.resources.conditions import (
    MESSAGE_LIMIT,
    Condition,
    ConditionStatus,
    Finding,
    find,
    finding,
    merge,
    timestamp,
)
from makini_operator.resources.reasons import ConditionType, Reason

NOON = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)

FINDINGS = st.lists(
    st.builds(
        Finding,
        type=st.sampled_from(ConditionType),
        status=st.sampled_from(ConditionStatus),
        reason=st.sampled_from(Reason),
        message=st.text(max_size=20),
    ),
    unique_by=lambda found: found.type,
)


def ready(*, holds: bool | None, reason: Reason = Reason.CONNECTED, message: str = "fine") -> Finding:
    return finding(ConditionType.READY, holds=holds, reason=reason, message=message)


def merged(old: tuple[Condition, ...], *findings: Finding, generation: int = 1, now: datetime = LATER) -> Condition:
    (first, *_) = merge(old, findings, generation=generation, now=now)
    return first


WAS_READY = merge((), [ready(holds=True)], generation=1, now=NOON)


@pytest.mark.parametrize(("holds", "status"), [(True, "True"), (False, "False"), (None, "Unknown")])
def test_a_finding_holds_does_not_hold_or_is_unknown(holds: bool | None, status: str) -> None:
    assert ready(holds=holds).status == status


@pytest.mark.parametrize(
    ("now_found", "moves"),
    [
        (ready(holds=True), False),
        (ready(holds=True, reason=Reason.DISCONNECTED), False),
        (ready(holds=True, message="otherwise"), False),
        (ready(holds=False), True),
        (ready(holds=None), True),
    ],
)
def test_the_transition_time_moves_only_when_the_status_changes(now_found: Finding, moves: bool) -> None:
    assert merged(WAS_READY, now_found).last_transition_time == timestamp(LATER if moves else NOON)


def test_a_new_generation_is_noted_and_moves_no_time() -> None:
    seen = merged(WAS_READY, ready(holds=True), generation=2)
    assert (seen.observed_generation, seen.last_transition_time) == (2, timestamp(NOON))


def test_what_is_not_found_any_more_is_not_shown() -> None:
    stalled = finding(ConditionType.STALLED, holds=True, reason=Reason.EXCEEDS_POOL, message="too large")
    both = merge((), [ready(holds=False), stalled], generation=1, now=NOON)
    after = merge(both, [ready(holds=True)], generation=1, now=LATER)
    assert find(both, ConditionType.STALLED) is not None
    assert find(after, ConditionType.STALLED) is None


@given(FINDINGS, st.integers(1, 5))
def test_to_say_the_same_again_changes_nothing(findings: list[Finding], generation: int) -> None:
    once = merge((), findings, generation=generation, now=NOON)
    assert merge(once, findings, generation=generation, now=LATER) == once


@given(FINDINGS, FINDINGS)
def test_exactly_the_findings_are_shown_in_their_order(before: list[Finding], after: list[Finding]) -> None:
    old = merge((), before, generation=1, now=NOON)
    new = merge(old, after, generation=2, now=LATER)
    assert [(c.type, c.status, c.reason, c.message) for c in new] == [
        (f.type, f.status, f.reason, f.message) for f in after
    ]


def test_a_message_that_is_too_long_for_the_schema_is_cut_and_says_so() -> None:
    long = merged((), ready(holds=True, message="x" * 2000)).message
    assert len(long) == MESSAGE_LIMIT
    assert long.endswith("x…")
    assert merged((), ready(holds=True, message="x" * MESSAGE_LIMIT)).message == "x" * MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2025-03-01T12:00:00Z"),
        (NOON.replace(microsecond=999_999), "2025-03-01T12:00:00Z"),
        (NOON.astimezone(timezone(timedelta(hours=5))), "2025-03-01T12:00:00Z"),
    ],
)
def test_a_moment_is_written_in_utc_and_seconds(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text
