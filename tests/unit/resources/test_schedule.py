"""Which schedules and time zones the patterns let through, and that they are linear."""

import re
from itertools import pairwise
from time import perf_counter
from typing import Any, get_args

import pytest

from makini_operator.resources.schedule import SCHEDULE_PATTERN, TimeZone


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",
        "*/15 * * * *",
        "0 6 * * 1-5",
        "0 6 * * MON-FRI",
        "30 2 1,15 jan-mar ?",
        "0-30/5 0,12 * * sun",
        "59 23 31 12 6",
        "0  6   *  * *",
        "@hourly",
        "@midnight",
        "@daily",
        "@weekly",
        "@monthly",
        "@yearly",
        "@annually",
        "5/15 * * * *",
        "00 06 01 01 0",
        "0 0 1 jan,JUL *",
        "0 0 * Feb-Apr mon-FRI",
    ],
)
def test_what_kubernetes_runs_is_accepted(schedule: str) -> None:
    assert re.fullmatch(SCHEDULE_PATTERN, schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * * * monday",
        "*/0 * * * *",
        "CRON_TZ=Europe/Berlin 0 6 * * *",
        "TZ=UTC 0 6 * * *",
        "@every 1h",
        "@reboot",
        "0 6 * * 1-",
        "0 6 * * *\n",
        " 0 6 * * *",
        "0 6 * * * ",
        "\t0 6 * * *",
        "* * * 0 *",
        "* * * january *",
        "-1 * * * *",
        "1,,2 * * * *",
        ",1 * * * *",
        "1/ * * * *",
        "1-2-3 * * * *",
        "L * * * *",
        "0 0 * * 1#2",
        "0 0 15W * *",
        "@Daily",
        "@daily x",
        "0 6 * * 1-5; rm",
        "\u0660 6 * * *",  # a zero, but not in ASCII
    ],
)
def test_anything_else_is_refused(schedule: str) -> None:
    assert re.match(SCHEDULE_PATTERN.removesuffix("$") + r"\Z", schedule) is None


def test_the_pattern_has_nothing_that_re2_lacks() -> None:
    """No look-around, no back-reference, no possessive or atomic group: that is what makes RE2 linear."""
    assert not re.search(r"\(\?[^i:]|\(\?i[^:]|\\[1-9]|[*+?}]\+", SCHEDULE_PATTERN)


def test_the_pattern_can_stand_in_a_cel_string() -> None:
    assert not set(SCHEDULE_PATTERN) & {"'", "\\", "\n"}


def test_the_longest_hostile_schedules_are_refused_at_once() -> None:
    """Time grows with the length and does not explode, also in Python, which backtracks."""
    for piece in ("1,", "1-1,", "*/1,", "1/1,", "mon,", "1 ", "?,"):
        texts = [piece * (length // len(piece)) + "!" for length in (25, 50, 100)]
        times = [_seconds(text) for text in texts]
        assert all(after < max(before, 0.001) * 16 for before, after in pairwise(times)), (piece, times)
        assert not any(re.fullmatch(SCHEDULE_PATTERN, text) for text in texts)


def _seconds(text: str) -> float:
    begun = perf_counter()
    re.fullmatch(SCHEDULE_PATTERN, text)
    return perf_counter() - begun


# --- time zones ------------------------------------------------------------------------------------------------


def zone_rule() -> str:
    """The expression that the CRD carries."""
    (field,) = (part for part in get_args(TimeZone) if hasattr(part, "json_schema_extra"))
    extra: dict[str, Any] = field.json_schema_extra
    ((found),) = extra["x-kubernetes-validations"]
    return str(found["rule"])


def is_zone(value: str) -> bool:
    """The rule, read as what it says: a pattern, and one name that is not taken."""
    form = re.fullmatch(r"self\.matches\('(?P<pattern>.+)'\) && self != '(?P<but>\w+)'", zone_rule())
    assert form, "the rule has another form now: mend this test"
    return bool(re.fullmatch(form["pattern"], value)) and value != form["but"]


@pytest.mark.parametrize(
    "value", ["UTC", "Etc/UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "Etc/GMT-14", "GMT0"]
)
def test_a_time_zone_s_name_is_accepted(value: str) -> None:
    assert is_zone(value)


@pytest.mark.parametrize(
    "value", ["", "Local", "/etc/localtime", "../UTC", "Europe/..", "Europe Berlin", "+01:00", "UTC\n", "Zürich"]
)
def test_what_is_no_time_zone_s_name_is_refused(value: str) -> None:
    assert not is_zone(value)
