"""Label selectors, as Kubernetes writes them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from makini_operator.resources.base import Model, cel, rule

LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]


class Operator(StrEnum):
    """How an expression compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Expression(Model):
    """One condition on one label."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 "
                ": !has(self.values) || size(self.values) == 0",
                "values: In and NotIn need at least one, Exists and DoesNotExist none",
            )
        )
    )

    key: LabelKey = Field(description="The label's key.")
    operator: Operator = Field(description="In, NotIn, Exists or DoesNotExist.")
    values: Annotated[list[LabelValue], Field(max_length=64)] | None = Field(
        default=None,
        description="The values that In and NotIn compare with.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet the condition. NotIn is also met without the label, as in Kubernetes."""
        if self.operator is Operator.EXISTS:
            return self.key in labels
        if self.operator is Operator.DOES_NOT_EXIST:
            return self.key not in labels
        is_in = labels.get(self.key) in (self.values or [])
        return is_in if self.operator is Operator.IN else not is_in


class LabelSelector(Model):
    """All of its conditions must be met; none at all selects everything."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=32)] | None = Field(
        default=None,
        description="Labels with exactly these values.",
        json_schema_extra=cel(rule("self.all(key, key.size() <= 317)", "keys: at most 317 characters")),
    )
    match_expressions: Annotated[list[Expression], Field(max_length=32)] | None = Field(
        default=None,
        description="Further conditions.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        exact = all(labels.get(key) == value for key, value in (self.match_labels or {}).items())
        return exact and all(expression.matches(labels) for expression in self.match_expressions or [])
