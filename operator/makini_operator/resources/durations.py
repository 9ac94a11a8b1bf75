"""Durations as people write them in a spec: hours, minutes, seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from makini_operator.resources.base import cel, rule

_DURATION = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,5})s)?")
DURATION_FORM = "^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$"


def duration_rules(floor: timedelta, what: str) -> dict[str, Any]:
    """CEL rules: a duration of that form, and at least `floor` (whole minutes)."""
    minutes = int(floor.total_seconds() // 60)
    return cel(
        rule(
            f"self.matches('{DURATION_FORM}')",
            f"{what} must be a duration such as 10m, 12h or 1h30m: hours, minutes, seconds",
        ),
        rule(
            f"!self.matches('{DURATION_FORM}') || duration(self) >= duration('{minutes}m')",
            f"{what} must be at least {minutes}m",
        ),
    )


def parse_duration(text: str) -> timedelta:
    """`1h30m` as a timedelta. Raises `ValueError` when it is not of that form."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"expected a duration such as 10m, 12h or 1h30m, found {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
