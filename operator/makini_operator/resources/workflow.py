"""A workflow: the tenant's own container, run on a schedule with the connection's token."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from makini_operator.resources.schedule import OnSchedule

MAX_WORKFLOWS = 16


def _free(description: str) -> dict[str, Any]:
    """A part that only Kubernetes knows how to check."""
    return {"type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": True}


_JOB_TEMPLATE: dict[str, Any] = {
    "required": ["spec"],
    "properties": {
        "metadata": _free("Labels and annotations of the Jobs."),
        "spec": _free("Spec of the Jobs, as in batch/v1."),
    },
}


class Workflow(OnSchedule):
    """One CronJob."""

    job_template: dict[str, Any] = Field(
        description="What runs: the metadata and spec of a batch/v1 Job. Every container gets the token as files in "
        "/var/run/secrets/makini.io (token, connection-id, url) and the variables MAKINI_ENDPOINT and "
        "MAKINI_TOKEN_FILE. Tried out on the API server before credits are booked.",
        json_schema_extra=_JOB_TEMPLATE,
    )


Workflows = Annotated[list[Workflow], Field(max_length=MAX_WORKFLOWS)]
