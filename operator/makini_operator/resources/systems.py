"""The words in which systems are named and priced, shared by connections and pools."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from makini_operator.resources.base import cel, rule


class Deployment(StrEnum):
    """Where the customer runs the system; on-premises costs more."""

    CLOUD = "Cloud"
    ON_PREMISES = "OnPremises"


class Tier(StrEnum):
    """Makini's three price classes."""

    I = "I"  # noqa: E741 - Makini's own name
    II = "II"
    III = "III"


SystemName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        json_schema_extra=cel(
            rule(
                "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "must be a system's name in lower-case letters, digits and '-', for example sap-s4hana",
            )
        ),
    ),
]
