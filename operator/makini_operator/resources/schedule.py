"""Schedules as Kubernetes' CronJobs understand them.

The pattern accepts what the cron library of Kubernetes accepts, but for two things that only
surprise: a time zone inside the schedule, and `@every`. What a pattern cannot say (that a range
must not run backwards) the API server says when the CronJob is tried out.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from makini_operator.resources.base import LABEL_RULE, Model, cel, rule

_MINUTE = "[0-5]?[0-9]"
_HOUR = "([01]?[0-9]|2[0-3])"
_DAY = "(0?[1-9]|[12][0-9]|3[01])"
_MONTH = "(0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))"
_WEEKDAY = "(0?[0-6]|(?i:sun|mon|tue|wed|thu|fri|sat))"
_SHORTHANDS = "@(yearly|annually|monthly|weekly|daily|midnight|hourly)"


def _field(value: str) -> str:
    item = f"([*?]|{value}(-{value})?)(/[1-9][0-9]?)?"
    return f"{item}(,{item})*"


SCHEDULE_PATTERN = f"^({_SHORTHANDS}|{' +'.join(map(_field, (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)))})$"
"""RE2 and Python regular expression of a schedule."""

Schedule = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        json_schema_extra=cel(
            rule(
                f"self.matches('{SCHEDULE_PATTERN}')",
                "must be a cron schedule: minute, hour, day of month, month, day of week (0-6 or sun-sat), for example "
                "'0 6 * * 1-5', or @hourly, @daily, @weekly, @monthly, @yearly; a time zone belongs in timeZone",
            )
        ),
    ),
]
TimeZone = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        json_schema_extra=cel(
            rule(
                "self.matches('^[A-Za-z][A-Za-z0-9_+/-]*$') && self != 'Local'",
                "must be the name of a time zone, for example Europe/Berlin or Etc/UTC",
            )
        ),
    ),
]


class OnSchedule(Model):
    """What workflows and syncs have in common: a name, and when they run."""

    name: str = Field(
        min_length=1,
        max_length=40,
        description="Name, unique in this connection.",
        json_schema_extra=LABEL_RULE,
    )
    schedule: Schedule = Field(
        description="When it runs, as cron writes it: minute, hour, day of month, month, day of week."
    )
    time_zone: TimeZone | None = Field(
        default=None, description="Time zone of the schedule, for example Europe/Berlin. Default: the cluster's."
    )
    suspend: bool | None = Field(default=None, description="true: no new runs; a run under way comes to its end.")
