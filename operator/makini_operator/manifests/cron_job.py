"""CronJobs of a connection: what runs its workflows and syncs, and how we know them and their runs again.

The API server fills in defaults, so what is stored never equals what was sent. Therefore each
CronJob is tried out first (a dry run, which also says what is wrong with a template), and a
checksum over what was wanted and what that became is put on it: whoever edits the CronJob
makes the checksum wrong, and whoever edits the spec makes another one wanted.
"""

from __future__ import annotations

import copy
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.lifecycle.observation import RunKind, Scheduled
from makini_operator.manifests.ownership import (
    CHECKSUM,
    CONNECTION,
    Manifest,
    child_name,
    controller_of,
    digest,
    own_labels,
    owner_in_words,
    owner_reference,
)
from makini_operator.resources.base import GROUP, ObjectMeta
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.sync import Sync
from makini_operator.resources.workflow import Workflow

LABELS = {RunKind.WORKFLOW: f"{GROUP}/workflow", RunKind.SYNC: f"{GROUP}/sync"}
"""The label that names the workflow or sync."""
VOLUME = "makini-token"
MOUNT = f"/var/run/secrets/{GROUP}"
ENDPOINT_VARIABLE = "MAKINI_ENDPOINT"
TOKEN_FILE_VARIABLE = "MAKINI_TOKEN_FILE"  # noqa: S105 - the name of a variable
START_WITHIN = 300
"""Seconds that a run may start late; without a limit a CronJob gives up for good after 100 missed runs."""
HISTORY = 3
"""Finished Jobs that are kept of each kind."""
_KINDS = {RunKind.WORKFLOW: "CronJob", RunKind.SYNC: "Sync"}


class TemplateError(Exception):
    """A job template that cannot be used; the message says where it is wrong and what to do."""


@dataclass(frozen=True)
class CronJobRecord:
    """What the operator remembers of a CronJob."""

    metadata: ObjectMeta
    owner_uid: str
    owner: str
    spec_digest: str
    checksum: str

    @property
    def kind(self) -> RunKind:
        """What it runs, by its label."""
        return RunKind.SYNC if LABELS[RunKind.SYNC] in self.metadata.labels else RunKind.WORKFLOW


def cron_job_name(connection: MakiniConnection, item: Scheduled) -> str:
    """Name of the CronJob of this workflow or sync."""
    return child_name(connection, _KINDS[item.kind], item.name)


def scheduled(wanted: Workflow | Sync) -> Scheduled:
    """What this part of a spec is called."""
    return Scheduled(RunKind.SYNC if isinstance(wanted, Sync) else RunKind.WORKFLOW, wanted.name)


def cron_job(connection: MakiniConnection, wanted: Workflow | Sync, template: Manifest, *, endpoint: str) -> Manifest:
    """The CronJob that runs `template`, with our labels, the token's volume and the variables put in.

    Raises `TemplateError`.
    """
    item = scheduled(wanted)
    spec: Manifest = {
        "schedule": wanted.schedule,
        "suspend": bool(connection.spec.suspend or wanted.suspend),
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": START_WITHIN,
        "successfulJobsHistoryLimit": HISTORY,
        "failedJobsHistoryLimit": HISTORY,
        "jobTemplate": _equipped(connection, item, template, endpoint),
    }
    if wanted.time_zone:
        spec["timeZone"] = wanted.time_zone
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": cron_job_name(connection, item),
            "namespace": connection.metadata.namespace,
            "labels": own_labels(connection) | {LABELS[item.kind]: item.name},
            "ownerReferences": [owner_reference(connection)],
        },
        "spec": spec,
    }


def sealed(wanted: Manifest, tried: Manifest, key: InstallationKey) -> Manifest:
    """`wanted` with the checksum of what it becomes; `tried` is the API server's answer to the dry run."""
    uid = controller_of(wanted)["uid"]
    annotations = {CHECKSUM: _checksum(key, uid, digest(wanted["spec"]), digest(tried["spec"]))}
    return wanted | {"metadata": wanted["metadata"] | {"annotations": annotations}}


def record(manifest: Manifest) -> CronJobRecord:
    """What is remembered of a CronJob as the API server returns it."""
    return CronJobRecord(
        metadata=ObjectMeta.model_validate(manifest["metadata"]),
        owner_uid=str(controller_of(manifest).get("uid", "")),
        owner=owner_in_words(manifest),
        spec_digest=digest(manifest["spec"]),
        checksum=(manifest["metadata"].get("annotations") or {}).get(CHECKSUM, ""),
    )


def is_ours(found: CronJobRecord, connection: MakiniConnection) -> bool:
    """Whether a CronJob with our label, or with the name that only this uid has, is this connection's."""
    return found.owner_uid == connection.metadata.uid


def is_as_wanted(found: CronJobRecord, wanted: Manifest, key: InstallationKey) -> bool:
    """Whether nobody has changed it since it was written, and it is still what is wanted."""
    labels = wanted["metadata"]["labels"]
    proof = _checksum(key, found.owner_uid, digest(wanted["spec"]), found.spec_digest)
    is_sealed = hmac.compare_digest(found.checksum.encode(), proof.encode())
    return is_sealed and labels.items() <= found.metadata.labels.items()


def started_by(manifest: Manifest, connection: MakiniConnection) -> str | None:
    """Name of this connection's CronJob that has started this Job or pod; None if it is no run of ours.

    By label and by the controller's name, which ends in a hash of the connection's uid.
    """
    labels = manifest["metadata"].get("labels") or {}
    if labels.get(CONNECTION) != connection.metadata.name:
        return None
    item = next((Scheduled(kind, labels[label]) for kind, label in LABELS.items() if label in labels), None)
    if item is None:
        return None
    cron = cron_job_name(connection, item)
    controller = controller_of(manifest)
    kind, owner = controller.get("kind"), str(controller.get("name", ""))
    is_run = (kind == "CronJob" and owner == cron) or (kind == "Job" and owner.startswith(f"{cron}-"))
    return cron if is_run else None


def runs_selector(connection: MakiniConnection) -> str:
    """Label selector that finds every Job and pod of this connection's workflows and syncs, and perhaps others."""
    return f"{CONNECTION}={connection.metadata.name}"


def _equipped(connection: MakiniConnection, item: Scheduled, job_template: Manifest, endpoint: str) -> Manifest:
    """The job template with our labels, the token's volume and the variables."""
    template = copy.deepcopy(job_template)
    labels = {CONNECTION: connection.metadata.name, LABELS[item.kind]: item.name}
    pod = _object(_object(template, "spec"), "template")
    _label(template, "metadata", labels)
    _label(pod, "spec.template.metadata", labels)
    spec = _object(pod, "spec")
    _append(spec, "volumes", _volume(connection))
    for container in _containers(spec):
        mounts = _list(container, "volumeMounts")
        container["volumeMounts"] = [*mounts, {"name": VOLUME, "mountPath": MOUNT, "readOnly": True}]
        _append(container, "env", {"name": ENDPOINT_VARIABLE, "value": endpoint})
        _append(container, "env", {"name": TOKEN_FILE_VARIABLE, "value": f"{MOUNT}/token"})
    return template


def _label(labelled: Manifest, where: str, labels: dict[str, str]) -> None:
    """Put our labels on it; others of our group would let its runs pass for something that they are not."""
    found = _object(_object(labelled, "metadata"), "labels")
    for key in found:
        prefix, slash, _ = key.partition("/")
        if slash and (prefix == GROUP or prefix.endswith(f".{GROUP}")):
            raise TemplateError(
                f"{where}.labels has {key}: labels of {GROUP} are set by the operator alone; leave it out"
            )
    found.update(labels)


def _volume(connection: MakiniConnection) -> Manifest:
    """Readable by whatever user the container runs as; not optional, so that no run starts without a token."""
    return {"name": VOLUME, "secret": {"secretName": connection.secret_name, "defaultMode": 0o444}}


def _containers(pod: Manifest) -> Iterator[Manifest]:
    for part in ("initContainers", "containers"):
        for container in _list(pod, part):
            if not isinstance(container, dict):
                raise TemplateError(f"each of {part} must be an object")
            yield container


def _append(parent: Manifest, field: str, item: Manifest) -> None:
    items = _list(parent, field)
    if any(isinstance(other, dict) and other.get("name") == item["name"] for other in items):
        raise TemplateError(f"{field} has {item['name']}, which the operator adds: leave it out")
    parent[field] = [*items, item]


def _list(parent: Manifest, field: str) -> list[Any]:
    found = parent.get(field) or []
    if not isinstance(found, list):
        raise TemplateError(f"{field} must be a list")
    return found


def _object(parent: Manifest, field: str) -> Manifest:
    found = parent.get(field)
    if found is None:
        found = parent[field] = {}
    if not isinstance(found, dict):
        raise TemplateError(f"{field} must be an object")
    return found


def _checksum(key: InstallationKey, uid: str, wanted: str, stored: str) -> str:
    return key.digest("cronjob", uid, wanted, stored).hex()
