"""A workflow's CronJob: the tenant's own job template on a schedule."""

from __future__ import annotations

from makini_operator.lifecycle.observation import RunKind, Scheduled
from makini_operator.manifests import cron_job as base
from makini_operator.manifests.ownership import Manifest
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.workflow import Workflow


def workflow_name(connection: MakiniConnection, workflow: str) -> str:
    """Name of the CronJob of the workflow called `workflow`."""
    return base.cron_job_name(connection, Scheduled(RunKind.WORKFLOW, workflow))


def cron_job(connection: MakiniConnection, workflow: Workflow, *, endpoint: str) -> Manifest:
    """The CronJob that runs this workflow. Raises `TemplateError`."""
    return base.cron_job(connection, workflow, workflow.job_template, endpoint=endpoint)
