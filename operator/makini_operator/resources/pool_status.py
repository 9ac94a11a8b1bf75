"""The status of a CreditPool: its books, as they stand."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from makini_operator.resources.base import Model
from makini_operator.resources.conditions import Condition
from makini_operator.resources.systems import Tier


class AccountStatus(Model):
    """One Makini account as its API reports it."""

    id: str | None = Field(
        default=None,
        max_length=253,
        description="Identity of the account. If Secret or URL later lead to another account, nothing is touched.",
    )
    owned: int | None = Field(
        default=None, description="Connections there that this installation opened, at the last listing."
    )
    unowned: int | None = Field(
        default=None, description="Connections there that somebody else opened, at the last listing."
    )


class PoolCredits(Model):
    """The pool's books, in credits."""

    total: int = Field(description="Credits bought: spec.credits.")
    held: int = Field(description="Credits held by connections.")
    available: int = Field(description="Credits that can still be granted, overage included.")
    overage: int | None = Field(default=None, description="Credits held beyond spec.credits; absent: none.")
    waiting: int = Field(description="Credits that waiting connections need.")


class PoolConnections(Model):
    """The pool's books, in connections."""

    holding: int = Field(description="Connections that hold credits or are open at Makini.")
    waiting: int = Field(description="Connections that wait for credits.")


class TierBooks(Model):
    """What one tier holds."""

    tier: Tier = Field(description="Price class.")
    connections: int = Field(description="Connections of this tier that hold credits.")
    credits: int = Field(description="Credits that they hold.")


class NamespaceBooks(Model):
    """What one namespace holds."""

    name: str = Field(max_length=63, description="The namespace.")
    connections: int = Field(description="Its connections that hold credits.")
    credits: int = Field(description="Credits that they hold.")


class LedgerStatus(Model):
    """Who writes this pool's books; see docs/architecture.md."""

    holder: str | None = Field(default=None, max_length=64, description="Incarnation of the operator that leads.")
    epoch: int | None = Field(default=None, description="Number of take-overs so far, for people.")
    sequence: int | None = Field(default=None, description="Number of commits so far, for people.")


class CreditPoolStatus(Model):
    """What the operator found and did."""

    observed_generation: int | None = Field(
        default=None, description="The generation that this status describes.", json_schema_extra={"format": "int64"}
    )
    conditions: Annotated[list[Condition], Field(max_length=16)] | None = Field(
        default=None,
        description="Ready, and what stands behind it.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    account: AccountStatus | None = Field(default=None, description="The account as Makini reports it.")
    sandbox: AccountStatus | None = Field(default=None, description="The sandbox account as it reports itself.")
    credits: PoolCredits | None = Field(default=None, description="Credits: total, held, available, waiting.")
    connections: PoolConnections | None = Field(default=None, description="Connections: holding, waiting.")
    tiers: Annotated[list[TierBooks], Field(max_length=3)] | None = Field(
        default=None,
        description="What each tier holds.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["tier"]},
    )
    namespaces: Annotated[list[NamespaceBooks], Field(max_length=10)] | None = Field(
        default=None,
        description="What the ten largest namespaces hold.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    ledger: LedgerStatus | None = Field(default=None, description="Who keeps these books.")
