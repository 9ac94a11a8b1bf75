"""The base of every model, and the small building blocks that both resources share.

Guarantees: models are immutable; names are camelCase in YAML and snake_case here; a
field that a newer CRD knows and this version does not is ignored, never an error;
`None` means absent and is never written.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "makini.io"
VERSION = "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"

Rule = dict[str, str]


def rule(expression: str, message: str) -> Rule:
    """A CEL validation rule; `message` says what to do, because it is all that a refused user sees."""
    return {"rule": expression, "message": message}


def discreet(expression: str, message: str) -> Rule:
    """A rule whose refusal does not repeat the value, which may be a secret in the wrong place."""
    return rule(expression, message) | {"reason": "FieldValueForbidden"}


def cel(*rules: Rule) -> dict[str, Any]:
    """The `json_schema_extra` that carries CEL rules into the CRD."""
    return {"x-kubernetes-validations": list(rules)}


class Model(BaseModel):
    """Immutable, camelCase on the outside, tolerant of fields from newer versions."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", use_attribute_docstrings=False
    )

    def dump(self) -> dict[str, Any]:
        """This model as it stands in YAML: camelCase, JSON types, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


SUBDOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

NAME_RULE = cel(
    rule(
        f"self.matches('^{SUBDOMAIN}$')",
        "must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.', "
        "starting and ending with a letter or digit",
    )
)

ObjectName = Annotated[str, Field(min_length=1, max_length=253, json_schema_extra=NAME_RULE)]
LABEL_RULE = cel(
    rule(
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "must be lower-case letters, digits and '-', starting and ending with a letter or digit",
    )
)


class SecretRef(Model):
    """Points at a Secret; the value itself never stands in a resource."""

    name: ObjectName = Field(description="Name of the Secret.")


class ObjectMeta(Model):
    """The part of Kubernetes' metadata that the operator reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def is_deleting(self) -> bool:
        """Whether somebody has asked Kubernetes to delete the object."""
        return self.deletion_timestamp is not None
