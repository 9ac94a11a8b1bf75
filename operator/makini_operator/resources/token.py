"""The token of a connection: where it is published, who reads it, how it is rotated.

Never the token itself: that is in the Secret alone. What status says of it: `token_status.py`.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from makini_operator.resources.base import LABEL_RULE, SUBDOMAIN, Model, ObjectName, cel, rule
from makini_operator.resources.durations import DURATION_FORM, duration_rules

MAX_READERS = 32
MAX_TARGETS = 16
MAX_STORES = 8
SHORTEST_ROTATION = timedelta(minutes=5)
SHORTEST_OVERLAP = timedelta(minutes=3)
DEFAULT_OVERLAP = timedelta(minutes=10)

_RESERVED = "([a-z0-9-]+[.])*(kubernetes|k8s|makini|fluxcd)[.]io/|([a-z0-9-]+[.])*argoproj[.]io/"
_REPLICATORS = (
    "replicator[.]v1[.]mittwald[.]de/|([a-z0-9-]+[.])*emberstack[.]com/|([a-z0-9-]+[.])*kubed[.]appscode[.]com/"
)


def _template_rules(what: str) -> dict[str, Any]:
    return cel(
        rule(
            f"self.all(k, k.size() <= 317 && k.matches('^({SUBDOMAIN}/)?"
            "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
            f"{what} must have keys that Kubernetes accepts, for example team or example.com/team",
        ),
        rule(
            f"self.all(k, !k.matches('^({_RESERVED}|{_REPLICATORS})'))",
            f"{what} must not use the reserved prefixes kubernetes.io, k8s.io, makini.io, argoproj.io, fluxcd.io, "
            "or those of tools that copy Secrets elsewhere: use a prefix of your own",
        ),
    )


def _named(*keys: str) -> dict[str, Any]:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


LabelValue = Annotated[
    str,
    Field(
        max_length=63,
        json_schema_extra=cel(
            rule(
                "self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",
                "must be a label value: letters, digits, '-', '_' and '.', starting and ending with a letter or digit",
            )
        ),
    ),
]
AnnotationValue = Annotated[str, Field(max_length=4096)]


class SecretTemplate(Model):
    """Labels and annotations for the token's Secret."""

    labels: dict[str, LabelValue] | None = Field(
        default=None,
        max_length=32,
        description="Labels added to the Secret.",
        json_schema_extra=_template_rules("labels"),
    )
    annotations: dict[str, AnnotationValue] | None = Field(
        default=None,
        max_length=32,
        description="Annotations added to the Secret.",
        json_schema_extra=_template_rules("annotations"),
    )


class Rotation(Model):
    """When a new token is made, and how long the Secret keeps the one before."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                f"!has(self.every) || !has(self.overlap) || !self.every.matches('{DURATION_FORM}') "
                f"|| !self.overlap.matches('{DURATION_FORM}') || duration(self.overlap) < duration(self.every)",
                "overlap must be shorter than every: the previous token goes before the next one comes",
            )
        )
    )

    every: str | None = Field(
        default=None,
        min_length=2,
        max_length=18,
        description="Age at which the token is replaced, at least 5m, for example 480h; up to a tenth earlier, so that "
        "connections do not all rotate at once. Default: two thirds of the token's life; never later than nine tenths.",
        json_schema_extra=duration_rules(SHORTEST_ROTATION, "every"),
    )
    overlap: str | None = Field(
        default=None,
        min_length=2,
        max_length=18,
        description="How long the Secret keeps the previous token in the key previous-token, at least 3m. "
        "Default: 10m.",
        json_schema_extra=duration_rules(SHORTEST_OVERLAP, "overlap"),
    )


class Reader(Model):
    """Who may read the token's Secret through the API."""

    service_account_name: ObjectName = Field(description="A ServiceAccount of this namespace.")


class TargetKind(StrEnum):
    """Workloads that can be restarted."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"


class RestartTarget(Model):
    """A workload that only reads its token when it starts."""

    kind: TargetKind = Field(description="Deployment, StatefulSet or DaemonSet.")
    name: ObjectName = Field(description="Its name, in this namespace.")


class StoreKind(StrEnum):
    """Kinds of stores of External Secrets Operator."""

    SECRET_STORE = "SecretStore"  # noqa: S105 - a kind
    CLUSTER_SECRET_STORE = "ClusterSecretStore"  # noqa: S105 - a kind


class StoreRef(Model):
    """A store of External Secrets Operator."""

    kind: StoreKind = Field(description="SecretStore (of this namespace) or ClusterSecretStore.")
    name: ObjectName = Field(description="Its name.")


class TokenStore(Model):
    """A copy of the Secret in a store outside of the cluster."""

    name: str = Field(
        min_length=1, max_length=40, description="Name of this copy, unique here.", json_schema_extra=LABEL_RULE
    )
    secret_store_ref: StoreRef = Field(description="Where it goes.")
    remote_key: str = Field(
        min_length=1, max_length=512, description="Its name there; the value is the Secret's content as JSON."
    )


class Token(Model):
    """Where the connection's API token is published."""

    secret_name: ObjectName | None = Field(
        default=None,
        description="Name of the Secret that receives token, connection-id and url. Default: <name>-makini. "
        "A Secret of that name that is not the operator's is never overwritten.",
    )
    secret_template: SecretTemplate | None = Field(default=None, description="Labels and annotations for that Secret.")
    rotation: Rotation | None = Field(default=None, description="When the token is replaced by a new one.")
    readers: Annotated[list[Reader], Field(max_length=MAX_READERS)] | None = Field(
        default=None,
        description="ServiceAccounts that may get exactly this Secret: they get a Role and a RoleBinding.",
        json_schema_extra=_named("serviceAccountName"),
    )
    rollout_restart: Annotated[list[RestartTarget], Field(max_length=MAX_TARGETS)] | None = Field(
        default=None,
        description="Workloads that are restarted after each rotation, one after the other, each when the one before "
        "is complete.",
        json_schema_extra=_named("kind", "name"),
    )
    stores: Annotated[list[TokenStore], Field(max_length=MAX_STORES)] | None = Field(
        default=None,
        description="Copies in stores of External Secrets Operator: a PushSecret for each.",
        json_schema_extra=_named("name"),
    )
