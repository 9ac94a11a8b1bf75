"""Generates the CustomResourceDefinitions in `crds/` from the models.

Kubernetes wants *structural* schemas: no `$ref`, no `anyOf` with null, no `const`, no
titles. Pydantic emits all of these; one pass over its output removes them. CEL rules and
list types travel through pydantic's own `json_schema_extra`, so a field, its description
and its rules stand in one place.

`status` gets the schema default `{observedGeneration: -1}`: a consumer that sees no status
at all would take the object for done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from makini_operator.resources.base import GROUP, VERSION, Model
from makini_operator.resources.connection import MakiniConnection, MakiniConnectionSpec
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.pool import CreditPool, CreditPoolSpec
from makini_operator.resources.pool_status import CreditPoolStatus

Schema = dict[str, Any]

_READY = '.status.conditions[?(@.type=="Ready")]'
_UNTOUCHED_STATUS = {"observedGeneration": -1}
_DROPPED = ("title", "additionalProperties")
_STRING_FORMATS = ("date-time",)


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; `wide` ones appear with `-o wide`."""

    name: str
    type: str
    path: str
    description: str
    wide: bool = False

    def manifest(self) -> Schema:
        """The column as the CRD spells it."""
        column: Schema = {"name": self.name, "type": self.type, "jsonPath": self.path, "description": self.description}
        return column | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True)
class Kind:
    """Everything about a resource that is not a field."""

    model: type[Model]
    spec: type[Model]
    status: type[Model]
    plural: str
    short_name: str
    scope: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The kind, as in `kind:`."""
        return self.model.__name__


_AGE = Column("Age", "date", ".metadata.creationTimestamp", "Time since creation.")
_IS_READY = Column("Ready", "string", f"{_READY}.status", "Whether everything is as the spec says.")
_MESSAGE = Column("Message", "string", f"{_READY}.message", "What is the case, and what to do.", wide=True)

KINDS: tuple[Kind, ...] = (
    Kind(
        model=CreditPool,
        spec=CreditPoolSpec,
        status=CreditPoolStatus,
        plural="creditpools",
        short_name="cpool",
        scope="Cluster",
        columns=(
            Column("Total", "integer", ".spec.credits", "Credits that may be held at most."),
            Column("Held", "integer", ".status.credits.held", "Credits held by connections."),
            Column("Available", "integer", ".status.credits.available", "Credits that can still be granted."),
            Column("Waiting", "integer", ".status.connections.waiting", "Connections that wait for credits."),
            _IS_READY,
            _AGE,
            _MESSAGE,
        ),
    ),
    Kind(
        model=MakiniConnection,
        spec=MakiniConnectionSpec,
        status=MakiniConnectionStatus,
        plural="makiniconnections",
        short_name="mconn",
        scope="Namespaced",
        columns=(
            Column("System", "string", ".spec.system.name", "What is connected."),
            Column("Credits", "integer", ".status.credits.amount", "Credits held."),
            Column("Phase", "string", ".status.phase", "Where the connection is in its life."),
            _IS_READY,
            _AGE,
            Column("Connection", "string", ".status.connectionID", "Id of the connection at Makini.", wide=True),
            _MESSAGE,
        ),
        selectable=(".spec.poolRef.name", ".status.phase"),
    ),
)


def definition(kind: Kind) -> Schema:
    """The CustomResourceDefinition of one kind."""
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.manifest() for column in kind.columns],
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    singular = kind.name.lower()
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": singular,
        "shortNames": [kind.short_name],
        "categories": ["makini"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": kind.scope, "names": names, "versions": [version]},
    }


def structural(model: type[Model]) -> Schema:
    """The structural schema of a model, references inlined."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _inline(raw, raw.get("$defs", {}))


def _root(kind: Kind) -> Schema:
    extra = cast("Schema", kind.model.model_config.get("json_schema_extra") or {})
    string = {"type": "string"}
    properties = {
        "apiVersion": string,
        "kind": string,
        "metadata": {"type": "object"},
        "spec": structural(kind.spec) | {"description": kind.model.model_fields["spec"].description},
        "status": structural(kind.status)
        | {"description": kind.model.model_fields["status"].description, "default": _UNTOUCHED_STATUS},
    }
    root: Schema = {
        "type": "object",
        "description": (kind.model.__doc__ or "").strip(),
        "required": ["spec"],
        "properties": properties,
    }
    return root | extra


def _inline(node: Schema, definitions: Schema) -> Schema:
    """One node without references, null alternatives and what structural schemas do not know."""
    if "$ref" in node:
        target = _inline(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
        return _joined(target, _inline({k: v for k, v in node.items() if k != "$ref"}, definitions))
    if "anyOf" in node:
        (value,) = [option for option in node["anyOf"] if option.get("type") != "null"]
        outer = {k: v for k, v in node.items() if k not in ("anyOf", "default")}
        return _joined(_inline(value, definitions), _inline(outer, definitions))
    result: Schema = {k: v for k, v in node.items() if k not in (*_DROPPED, "$defs", "properties", "items")}
    if result.get("format") not in (None, "int32", "int64", *_STRING_FORMATS):
        del result["format"]
    if result.get("type") == "integer":
        result.setdefault("format", "int32")
    if "properties" in node:
        result["properties"] = {name: _inline(child, definitions) for name, child in node["properties"].items()}
    if "items" in node:
        result["items"] = _inline(node["items"], definitions)
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _inline(node["additionalProperties"], definitions)
    return result


def _joined(inner: Schema, outer: Schema) -> Schema:
    """`outer` laid over `inner`; CEL rules of both apply."""
    rules = [*inner.get("x-kubernetes-validations", []), *outer.get("x-kubernetes-validations", [])]
    return inner | outer | ({"x-kubernetes-validations": rules} if rules else {})
