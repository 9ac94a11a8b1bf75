"""A sync's CronJob: a pod without rights that runs `makini-operator sync`; and the Jobs of runs that are asked for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from makini_operator.lifecycle.observation import RunKind, Scheduled
from makini_operator.lifecycle.sync_view import AskedRun, SyncAsk
from makini_operator.manifests import cron_job as base
from makini_operator.manifests.cron_job import MOUNT, TemplateError
from makini_operator.manifests.ownership import Manifest
from makini_operator.manifests.quantity import amount
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.sync import HISTORY_MOUNT, RESERVED_DATASETS, Amounts, Destination, Sync

USER = 65532
WORK = "/work"
LOGIN_MOUNT = "/var/run/secrets/destination"
LONGEST_RUN = 24 * 3600
"""Seconds after which a run is ended: with concurrencyPolicy Forbid, one that hangs would keep all others back."""
RETRIES = 3
WORK_SIZE = "20Gi"
"""Most that a run keeps on disk meanwhile."""
DEFAULT_WINDOW = "2160h"
LOCK_WAIT = "23h"
"""How long a run waits while another sync of its dataset works: that is no failure, and no other run of it begins."""
_SWITCHES = {SyncAsk.NOW: [], SyncAsk.FULL: ["--full"], SyncAsk.ACCEPT_GONE: ["--accept-gone"]}
"""None of them deletes a row."""
_ASKED_WRONGLY = 2
"""Exit code of the program when trying again does not help."""
_S3_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL")
_REQUESTS = Amounts(cpu="100m", memory="256Mi")
_LIMITS = Amounts(memory="512Mi")
_LONGEST_DATASET = 40
_HASH_LENGTH = 10


@dataclass(frozen=True)
class SyncImage:
    """The image that has the program; `reference` empty: this operator runs no syncs."""

    reference: str = ""
    pull_policy: str = "IfNotPresent"


NO_SYNCS = SyncImage()


def sync_name(connection: MakiniConnection, sync: str) -> str:
    """Name of the CronJob of the sync called `sync`."""
    return base.cron_job_name(connection, Scheduled(RunKind.SYNC, sync))


def cron_job(connection: MakiniConnection, sync: Sync, *, endpoint: str, image: SyncImage) -> Manifest:
    """The CronJob that runs this sync. Raises `TemplateError`."""
    if not image.reference:
        raise TemplateError(
            "this operator runs no syncs: whoever runs it has to give it an image "
            "(the chart's values sync.enabled and sync.image, or --sync-image)"
        )
    return base.cron_job(connection, sync, _template(connection, sync, image), endpoint=endpoint)


def run_now(stored: Manifest, run: AskedRun) -> Manifest:
    """The Job that runs what this CronJob, as it is stored, runs; the same name for the same request."""
    template, meta = stored["spec"]["jobTemplate"], stored["metadata"]
    suffix = hashlib.sha256(f"{run.ask}/{run.request}".encode()).hexdigest()[:_HASH_LENGTH]
    spec = _with(template["spec"], _SWITCHES[run.ask])
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{meta['name']}-{suffix}",
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": meta["name"],
                    "uid": meta["uid"],
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": spec,
    }


def dataset(connection: MakiniConnection, destination: Destination) -> str:
    """Name of the connection's dataset there: as the spec says, else `<namespace>_<name>`.

    What is too long ends in a hash. Two connections whose names become the same are kept apart by the program, which
    refuses a dataset of another owner.
    """
    if destination.dataset:
        return destination.dataset
    owner = f"{connection.metadata.namespace}/{connection.metadata.name}"
    plain = re.sub("[^a-z0-9]", "_", owner)
    plain = plain if plain[0].isalpha() else f"n_{plain}"
    if len(plain) <= _LONGEST_DATASET and not re.fullmatch(RESERVED_DATASETS, plain):
        return plain
    stem = plain[: _LONGEST_DATASET - _HASH_LENGTH - 3].rstrip("_")
    return f"d_{stem}_{hashlib.sha256(owner.encode()).hexdigest()[:_HASH_LENGTH]}"


def _template(connection: MakiniConnection, sync: Sync, image: SyncImage) -> Manifest:
    container: Manifest = {
        "name": "sync",
        "image": image.reference,
        "imagePullPolicy": image.pull_policy,
        "args": _arguments(connection, sync),
        "env": [*({"name": name, "value": WORK} for name in ("HOME", "TMPDIR")), *_environment(sync.destination)],
        "volumeMounts": [{"name": "work", "mountPath": WORK}, *_mounts(sync.destination)],
        "resources": _resources(sync),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "work", "emptyDir": {"sizeLimit": WORK_SIZE}}, *_volumes(sync.destination)],
    }
    return {
        "spec": {
            "backoffLimit": RETRIES,
            "activeDeadlineSeconds": LONGEST_RUN,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [_ASKED_WRONGLY]}},
                ]
            },
            "template": {"spec": pod},
        }
    }


def _arguments(connection: MakiniConnection, sync: Sync) -> list[str]:
    meta = connection.metadata
    return [
        "sync",
        *(f"--entity={entity}" for entity in sync.entities),
        *(f"--no-cursor={entity}" for entity in sync.without_cursor or []),
        f"--url=$({base.ENDPOINT_VARIABLE})",
        f"--token-file={MOUNT}/token",
        f"--connection-id-file={MOUNT}/connection-id",
        f"--owner={meta.namespace}/{meta.name}",
        f"--window={sync.window or DEFAULT_WINDOW}",
        f"--lock-wait={LOCK_WAIT}",
        f"--work-dir={WORK}",
        "--result-file=/dev/termination-log",
        f"--dataset={dataset(connection, sync.destination)}",
        *_where(sync.destination),
    ]


def _where(destination: Destination) -> list[str]:
    if destination.postgres:
        return ["--destination=postgres", f"--postgres-dsn-file={LOGIN_MOUNT}/dsn"]
    if destination.files:
        return ["--destination=files", f"--files-url={destination.files.url}"]
    return ["--destination=duckdb", f"--duckdb-folder={HISTORY_MOUNT}"]


def _environment(destination: Destination) -> list[Manifest]:
    """The keys of S3, which AWS' libraries take from variables."""
    login = destination.files.credentials_secret_ref if destination.files else None
    if login is None:
        return []
    return [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": login.name, "key": key, "optional": True}}}
        for key in _S3_KEYS
    ]


def _mounts(destination: Destination) -> list[Manifest]:
    mounts: list[Manifest] = []
    if destination.postgres:
        mounts.append({"name": "login", "mountPath": LOGIN_MOUNT, "readOnly": True})
    if destination.volume_claim:
        mounts.append({"name": "history", "mountPath": HISTORY_MOUNT})
    return mounts


def _volumes(destination: Destination) -> list[Manifest]:
    volumes: list[Manifest] = []
    if destination.postgres:
        login = destination.postgres.credentials_secret_ref
        items = [{"key": login.key, "path": "dsn"}]
        volumes.append({"name": "login", "secret": {"secretName": login.name, "items": items, "defaultMode": 0o440}})
    if destination.volume_claim:
        claim = {"claimName": destination.volume_claim}
        volumes.append({"name": "history", "persistentVolumeClaim": claim})
    return volumes


def _resources(sync: Sync) -> Manifest:
    """What the spec does not say is ours, but no request is above its limit: Kubernetes refuses that."""
    asked = sync.resources
    requests = asked.requests.dump() if asked and asked.requests else {}
    limits = asked.limits.dump() if asked and asked.limits else {}
    wanted = {name: default for name, default in _REQUESTS.dump().items() if name not in limits} | requests
    fitting = {name: max(default, wanted.get(name, default), key=amount) for name, default in _LIMITS.dump().items()}
    return {"requests": wanted, "limits": fitting | limits}


def _with(spec: Manifest, switches: list[str]) -> Manifest:
    """The Job's spec with these arguments in addition."""
    pod = spec["template"]["spec"]
    containers = [container | {"args": [*container["args"], *switches]} for container in pod["containers"]]
    return spec | {"template": spec["template"] | {"spec": pod | {"containers": containers}}}
