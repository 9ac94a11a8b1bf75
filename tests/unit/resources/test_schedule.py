"""Which schedules and workflows' names the pattern lets through."""

import re

import pytest

from makini_operator.resources.schedule import SCHEDULE_PATTERN


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
    ],
)
def test_anything_else_is_refused(schedule: str) -> None:
    assert re.match(SCHEDULE_PATTERN.removesuffix("$") + r"\Z", schedule) is None
