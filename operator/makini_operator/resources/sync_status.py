"""What status says of a connection's syncs: how the last run of each ended. Never a record, never a secret."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from makini_operator.resources.base import Model

MESSAGE_LIMIT = 512


class SyncResult(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class SyncStatus(Model):
    """One sync. Written when the result changes, else at most once an hour."""

    name: str = Field(max_length=40, description="Name in spec.syncs.")
    cron_job: str = Field(max_length=63, description="The CronJob that runs it.")
    last_result: SyncResult | None = Field(
        default=None, description="How its last run ended: Succeeded or Failed. Absent: none has ended yet."
    )
    last_finished: str | None = Field(
        default=None,
        max_length=40,
        description="When a run ended, as of the last time that this was written.",
        json_schema_extra={"format": "date-time"},
    )
    last_success: str | None = Field(
        default=None,
        max_length=40,
        description="When a run succeeded, as of the last time that this was written: at most an hour behind.",
        json_schema_extra={"format": "date-time"},
    )
    waiting: str | None = Field(
        default=None,
        max_length=MESSAGE_LIMIT,
        description="Present while a run does not begin: what its pod waits for.",
    )
    message: str | None = Field(
        default=None, max_length=MESSAGE_LIMIT, description="What it did, or why it failed, in one sentence."
    )
