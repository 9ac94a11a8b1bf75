"""Syncs: which records of the customer's system are copied where, and how often.

What the operator says of them afterwards stands in `sync_status.py`; what the program does, in
docs/syncs.md. Secrets and volumes are only ever referred to.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from makini_operator.resources.base import Model, ObjectName, SecretRef, cel, discreet, rule
from makini_operator.resources.durations import DURATION_FORM
from makini_operator.resources.entities import ENTITIES
from makini_operator.resources.schedule import OnSchedule

MAX_SYNCS = 16
MAX_ENTITIES = 40
MAX_NETWORKS = 32
HISTORY_MOUNT = "/history"
"""Where the volume of a destination is mounted."""

_QUANTITY = "^[0-9]{1,15}([.][0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"

RESERVED_DATASETS = "pg_.*|.*_staging|public|main|temp|information_schema"
"""Regular expression of names that databases use themselves, or that the program needs beside a dataset."""

Entity = Annotated[str, Field(max_length=64, json_schema_extra={"enum": list(ENTITIES)})]
Dataset = Annotated[
    str,
    Field(
        max_length=40,
        json_schema_extra=cel(
            rule(
                f"self.matches('^[a-z][a-z0-9_]{{0,39}}$') && !self.matches('^({RESERVED_DATASETS})$')",
                "must be a small letter, then at most 39 small letters, digits and '_'; not pg_…, …_staging, or a name "
                "that databases use themselves: public, main, temp, information_schema",
            )
        ),
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]
_DATASET = "Where this connection's tables are: nobody else's. Default: <namespace>_<name> of the connection."
Quantity = Annotated[
    str,
    Field(
        max_length=32,
        json_schema_extra=cel(
            rule(f"self.matches('{_QUANTITY}')", "must be a quantity of Kubernetes, for example 500m or 512Mi")
        ),
    ),
]


class SecretKeyRef(SecretRef):
    """One value of a Secret."""

    key: str = Field(
        min_length=1,
        max_length=253,
        description="Key in the Secret.",
        json_schema_extra=cel(
            rule(
                "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",
                "must be a key of a Secret: letters, digits, '-', '_' and '.', not starting with '..'",
            )
        ),
    )


class PostgresDestination(Model):
    """Tables in PostgreSQL."""

    credentials_secret_ref: SecretKeyRef = Field(
        description="Key of a Secret in this namespace that holds postgresql://user:password@host/database."
    )
    dataset: Dataset | None = Field(default=None, description=f"Schema. {_DATASET}")


class FilesDestination(Model):
    """Delta tables on a volume, or in S3."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "self.url.startsWith('s3://') || has(self.volumeClaimName)",
                "file:///history needs volumeClaimName: the volume that is mounted there",
            ),
            rule(
                "!self.url.startsWith('s3://') || !has(self.volumeClaimName)",
                "volumeClaimName is for file:///history: leave it out",
            ),
            rule(
                "self.url.startsWith('s3://') || !has(self.credentialsSecretRef)",
                "credentialsSecretRef is for s3://bucket/prefix: leave it out",
            ),
        )
    )

    url: str = Field(
        min_length=1,
        max_length=512,
        description="s3://bucket/prefix; or file:///history, or a folder below it, on the volume.",
        json_schema_extra=cel(
            discreet(
                f"self.matches('^(s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]|file://{HISTORY_MOUNT})"
                "(/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?$')",
                f"must be s3://bucket/prefix, or file://{HISTORY_MOUNT} or a folder below it",
            )
        ),
    )
    credentials_secret_ref: SecretRef | None = Field(
        default=None,
        description="Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and if needed AWS_SESSION_TOKEN, "
        "AWS_REGION and AWS_ENDPOINT_URL. Default: the pod's own identity, if it has one.",
    )
    volume_claim_name: ObjectName | None = Field(
        default=None,
        description=f"PersistentVolumeClaim that is mounted at {HISTORY_MOUNT}. Never owned, never deleted.",
    )
    dataset: Dataset | None = Field(default=None, description=f"Folder. {_DATASET}")


class DuckDBDestination(Model):
    """A DuckDB file on a volume."""

    volume_claim_name: ObjectName = Field(
        description="PersistentVolumeClaim that holds the file. Never owned, never deleted."
    )
    dataset: Dataset | None = Field(default=None, description=f"The file is <dataset>-history.duckdb. {_DATASET}")


class Destination(Model):
    """Where records are loaded to."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "[has(self.postgres), has(self.files), has(self.duckdb)].filter(given, given).size() == 1",
                "must be exactly one of postgres, files and duckdb",
            )
        )
    )

    postgres: PostgresDestination | None = Field(default=None, description="Tables in PostgreSQL.")
    files: FilesDestination | None = Field(default=None, description="Delta tables on a volume, or in S3.")
    duckdb: DuckDBDestination | None = Field(default=None, description="A DuckDB file on a volume.")

    @property
    def dataset(self) -> str | None:
        """The dataset that the spec names."""
        chosen = self.postgres or self.files or self.duckdb
        return chosen.dataset if chosen else None

    @property
    def volume_claim(self) -> str | None:
        """Name of the volume claim that is mounted."""
        chosen = self.files or self.duckdb
        return chosen.volume_claim_name if chosen else None


class Amounts(Model):
    """CPU and memory."""

    cpu: Quantity | None = Field(default=None, description="Processors.")
    memory: Quantity | None = Field(default=None, description="Bytes.")


class SyncResources(Model):
    """What the pod of a sync gets."""

    requests: Amounts | None = Field(default=None, description="At least. Default: cpu 100m, memory 256Mi.")
    limits: Amounts | None = Field(
        default=None, description="At most. Default: memory 512Mi, or what is requested if that is more."
    )


class Sync(OnSchedule):
    """Records that are copied on a schedule."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "!has(self.withoutCursor) || self.withoutCursor.all(each, each in self.entities)",
                "withoutCursor must name only what entities names",
            )
        )
    )

    entities: Annotated[list[Entity], Field(min_length=1, max_length=MAX_ENTITIES)] = Field(
        description="What is copied, for example erp/purchase-orders.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    without_cursor: Annotated[list[Entity], Field(min_length=1, max_length=MAX_ENTITIES)] | None = Field(
        default=None,
        description="Of these, the entities that are read whole each time, because the customer's system does not say "
        "reliably what has changed.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    window: str | None = Field(
        default=None,
        max_length=18,
        description="How far the first run reaches back, for example 2160h; or all. Default: 2160h (90 days).",
        json_schema_extra=cel(
            rule(
                f"self == 'all' || (self.size() > 1 && self.matches('{DURATION_FORM}'))",
                "must be a duration such as 2160h, or all",
            ),
            rule(
                f"self == 'all' || !self.matches('{DURATION_FORM}') || self.size() == 0 "
                "|| duration(self) > duration('0s')",
                "must be longer than nothing, or all",
            ),
        ),
    )
    destination: Destination = Field(description="Where records are loaded to.")
    resources: SyncResources | None = Field(default=None, description="CPU and memory of its pod.")


class Network(Model):
    """Addresses that may be reached."""

    cidr: str = Field(
        min_length=1,
        max_length=43,
        description="For example 203.0.113.0/24 or 2001:db8::/64.",
        json_schema_extra=cel(
            rule("isCIDR(self)", "must be a network such as 203.0.113.0/24; for one address, 203.0.113.7/32")
        ),
    )
    ports: Annotated[list[Port], Field(min_length=1, max_length=16)] | None = Field(
        default=None,
        description="TCP ports there. Default: all ports.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class SyncFailures(StrEnum):
    """What a failing sync means for the connection."""

    IGNORE = "Ignore"
    DEGRADE = "Degrade"


class HealthPolicy(Model):
    """What counts for Ready."""

    sync_failures: SyncFailures | None = Field(
        default=None,
        description="Degrade: the connection is not Ready, and Stalled, while the last run of a sync has failed. "
        "Ignore (default): only SyncsHealthy says so.",
    )


Syncs = Annotated[list[Sync], Field(max_length=MAX_SYNCS)]
SyncEgress = Annotated[list[Network], Field(max_length=MAX_NETWORKS)]
