"""What connections cost in a pool, where that is not Makini's published scheme."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from makini_operator.resources.base import Model
from makini_operator.resources.systems import Deployment, SystemName, Tier

TierPrice = Annotated[int, Field(ge=0, le=1000, json_schema_extra={"format": "int32"})]


class Tiers(Model):
    """Credits per tier; what is absent keeps Makini's published price."""

    I: TierPrice | None = Field(  # noqa: E741 - Makini's own name
        default=None, alias="I", description="Credits of a tier I connection. Default: 1."
    )
    II: TierPrice | None = Field(default=None, alias="II", description="Credits of a tier II connection. Default: 2.")
    III: TierPrice | None = Field(
        default=None, alias="III", description="Credits of a tier III connection. Default: 4."
    )


class SystemPrice(Model):
    """One system that this pool adds to the built-in catalogue, or prices differently."""

    name: SystemName = Field(description="Name of the system, as in a connection's spec.system.name.")
    tier: Tier = Field(description="Price class: I, II or III.")
    deployments: Annotated[list[Deployment], Field(min_length=1, max_length=2)] = Field(
        description="Where this system may run: Cloud, OnPremises, or both.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class Pricing(Model):
    """What connections cost in this pool; absent parts follow Makini's published scheme."""

    tiers: Tiers | None = Field(default=None, description="Credits per tier. Default: I 1, II 2, III 4.")
    on_premises_multiplier: int | None = Field(
        default=None,
        ge=1,
        le=10,
        description="An on-premises system costs this many times its tier. Default: 2.",
        json_schema_extra={"format": "int32"},
    )
    systems: Annotated[list[SystemPrice], Field(max_length=200)] | None = Field(
        default=None,
        description="Systems added to the built-in catalogue, or overriding it. Applies to new grants only.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
