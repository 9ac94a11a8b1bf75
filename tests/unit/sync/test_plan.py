"""What a run reads, and where the cursor goes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from makini_operator.sync.entities import find_entity
from makini_operator.sync.plan import Plan, Wishes, loading_state, next_state, plan
from makini_operator.sync.times import parse_duration, parse_time

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ORDERS, UNITS = find_entity("erp/purchase-orders"), find_entity("erp/uom")
STATE = {
    "connection": "c",
    "since": "2026-09-01T00:00:00Z",
    "cursor": "2026-11-25T11:00:00+00:00",
    "compared_at": "2026-11-25T10:00:00Z",
}


def planned(state: dict[str, Any], *, entity: Any = ORDERS, connection: str = "c", **wishes: Any) -> Plan:
    defaults = {"window": timedelta(days=90), "overlap": timedelta(minutes=5), "compare_every": timedelta(days=1)}
    asked = Wishes(**{**defaults, "is_full": False, **wishes})
    return plan(entity, state, asked, connection=connection, now=NOW)


def test_the_first_run_reaches_back_the_window_and_marks_nothing() -> None:
    made = planned({})
    assert (made.lower, made.compares, made.is_whole) == (NOW - timedelta(days=90), False, True)
    assert planned({}, window=None).lower is None


def test_a_later_run_reads_from_the_cursor_with_an_overlap() -> None:
    made = planned(STATE)
    assert (made.lower, made.compares) == (datetime(2026, 11, 25, 10, 55, tzinfo=UTC), False)


@pytest.mark.parametrize(
    "why",
    [{"is_full": True}, {"connection": "another"}, {"compare_every": timedelta(hours=2)}],
    ids=["asked for", "reconnected", "due"],
)
def test_all_keys_are_read_when(why: dict[str, Any]) -> None:
    made = planned(STATE, **why)
    assert made.compares
    assert made.lower is not None
    assert made.lower <= parse_time(STATE["since"])


def test_a_comparison_reaches_as_far_back_as_anything_was_ever_read() -> None:
    """Else rows from before would be marked as gone, only because they were not asked for."""
    assert planned(STATE, is_full=True, window=timedelta(days=1)).lower == parse_time(STATE["since"])
    assert planned(STATE, is_full=True, window=timedelta(days=365)).lower == NOW - timedelta(days=365)
    unbounded = {name: value for name, value in STATE.items() if name != "since"}
    assert planned(unbounded, is_full=True, window=timedelta(days=1)).lower is None


def test_no_comparison_is_due_when_never_asked_for() -> None:
    assert not planned({**STATE, "compared_at": "2020-01-01T00:00:00Z"}, compare_every=None).is_whole


def test_without_a_cursor_everything_is_read_each_time() -> None:
    assert planned({}, entity=UNITS).compares is False
    assert planned({"connection": "c", "compared_at": "2026-11-25T10:00:00Z"}, entity=UNITS).compares is True


def test_after_an_interrupted_whole_load_everything_is_read_again_and_no_digest_is_believed() -> None:
    state = loading_state(planned(STATE, compare_every=timedelta(hours=1)), STATE, run="r", connection="c")
    again = planned(state)
    assert (again.believes, again.is_whole, again.lower) == (False, True, parse_time(STATE["since"]))
    assert loading_state(again, state, run="s", connection="c") == {**STATE, "loading": "s"}


def test_after_an_interrupted_load_of_changes_these_are_read_again_and_no_digest_is_believed() -> None:
    wide = planned(STATE, overlap=timedelta(hours=3))
    state = loading_state(wide, STATE, run="r", connection="c")
    again = planned(state)
    assert (again.believes, again.is_whole, again.lower) == (False, False, wide.lower)
    assert loading_state(again, state, run="s", connection="c") == {**state, "loading": "s"}
    whole = loading_state(planned(state, is_full=True), state, run="s", connection="c")
    assert planned(whole).is_whole
    assert "loading" not in following(state, None)
    assert "loading_from" not in following(state, None)


@pytest.mark.parametrize("window", [timedelta(days=90), None])
def test_an_interrupted_first_load_keeps_the_floor_of_the_rows_it_may_have_left(window: timedelta | None) -> None:
    first = planned({}, window=window)
    state = loading_state(first, {}, run="r", connection="c")
    wishes = Wishes(window=window, overlap=timedelta(), compare_every=None, is_full=False)
    again = plan(ORDERS, state, wishes, connection="c", now=NOW + timedelta(days=7))
    assert (again.lower, again.is_first, again.believes) == (first.lower, True, False)


def test_an_interrupted_load_keeps_the_cursor_and_the_connection_that_were_there() -> None:
    state = loading_state(planned(STATE), STATE, run="r", connection="another")
    assert state == {**STATE, "loading": "r", "loading_from": "2026-11-25T10:55:00Z"}


def following(state: dict[str, Any], newest: datetime | None) -> dict[str, Any]:
    return next_state(planned(state), state, newest=newest, source_time=NOW, connection="c", now=NOW)


def test_the_cursor_goes_forward_but_never_past_the_sources_clock() -> None:
    assert following(STATE, NOW - timedelta(minutes=1))["cursor"] == "2026-11-25T11:59:00.000000+00:00"
    assert following(STATE, NOW + timedelta(days=999))["cursor"] == "2026-11-25T12:00:00.000000+00:00"
    assert parse_time(following(STATE, datetime(2020, 1, 1, tzinfo=UTC))["cursor"]) == parse_time(STATE["cursor"])
    assert parse_time(following(STATE, None)["cursor"]) == parse_time(STATE["cursor"])


@pytest.mark.parametrize("entity", [ORDERS, UNITS])
def test_while_what_is_missing_is_not_marked_every_run_is_a_comparison(entity: Any) -> None:
    made = planned(STATE, entity=entity, is_full=True)
    known = {"newest": NOW - timedelta(minutes=1), "source_time": NOW, "connection": "new", "now": NOW}
    state = next_state(made, STATE, **known, is_doubted=True)
    assert state["compared_at"] == STATE["compared_at"]
    assert state["cursor"] > STATE["cursor"]
    again = planned(state, entity=entity, connection="new", compare_every=None)
    assert (again.is_whole, again.compares, again.believes) == (True, True, True)
    later = next_state(again, state, **{**known, "now": NOW + timedelta(days=1)}, is_doubted=True)
    assert later["doubted"] == state["doubted"]
    assert "doubted" not in next_state(again, state, **known)


def test_a_first_run_that_found_nothing_keeps_its_floor() -> None:
    state = following({}, None)
    assert "cursor" not in state
    assert planned(state).lower == NOW - timedelta(days=90)


@pytest.mark.parametrize(("text", "days"), [("90d", 90), ("2160h", 90), ("1d12h", 1.5), ("2w", 14)])
def test_durations(text: str, days: float) -> None:
    assert parse_duration(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "90", "d", "1y", "-1d", "1d ", "1.5d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["36501d", "999999d", "999999w" * 200])
def test_a_duration_that_no_calendar_holds_is_refused_with_the_bound(text: str) -> None:
    assert NOW - parse_duration("36500d") < NOW
    with pytest.raises(ValueError, match="at most 36500d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["2026-11-01T08:00:00Z", "2026-11-01T09:00:00+01:00", "2026-11-01 08:00:00"])
def test_instants(text: str) -> None:
    assert parse_time(text) == datetime(2026, 11, 1, 8, tzinfo=UTC)
