"""Instants as the API writes them, and durations as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=36_500)  # further back than anything is dated, and no calendar overflows
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")


def parse_time(text: object) -> datetime:
    """Return an instant of the API in UTC; one without an offset is taken for UTC.

    Raises:
        ValueError: it is not an ISO 8601 date and time.
    """
    if not isinstance(text, str):
        raise ValueError(f"expected a date and time, found {type(text).__name__}")  # noqa: TRY004 - one error for callers
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def format_time(moment: datetime) -> str:
    """Return an instant as the API's filters take it, rounded down to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_duration(text: str) -> timedelta:
    """Return `90d`, `2160h`, `1h30m`… as a duration.

    Raises:
        ValueError: it is written in another way, or is more than `LONGEST`.
    """
    found = _DURATION.findall(text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise ValueError(f"expected a duration such as 90d, 2160h or 1h30m, found {text!r}")
    try:
        made = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in found), timedelta())
    except OverflowError:
        made = timedelta.max
    if made > LONGEST:
        raise ValueError(f"expected a duration of at most {LONGEST.days}d, found {text!r}")
    return made
