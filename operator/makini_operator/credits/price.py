"""What a connection costs, in credits.

Rules (makini-facts, Credits): tier I = 1, II = 2, III = 4; on-premises costs double its
cloud equivalent. That a sandbox connection costs 0 is an assumption; Makini publishes no
price for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from makini_operator.credits.catalogue import BUILT_IN, CatalogueEntry
from makini_operator.resources.connection import Environment, System
from makini_operator.resources.pricing import Pricing, Tiers
from makini_operator.resources.reasons import Reason
from makini_operator.resources.systems import Deployment, Tier

PUBLISHED_TIERS = {Tier.I: 1, Tier.II: 2, Tier.III: 4}
PUBLISHED_ON_PREMISES_MULTIPLIER = 2


@dataclass(frozen=True)
class Price:
    """Credits that one connection costs, and the tier they come from."""

    amount: int
    tier: Tier


@dataclass(frozen=True)
class NotOffered:
    """The pool does not price this system; `remedy` says what to do."""

    reason: Reason
    remedy: str


def price(system: System, environment: Environment, pricing: Pricing | None) -> Price | NotOffered:
    """What `system` costs in a pool with this `pricing`, or why it has no price."""
    catalogue = _catalogue(pricing)
    entry = catalogue.get(system.name)
    if entry is None:
        known = ", ".join(sorted(catalogue))
        remedy = (
            f"system {system.name!r} is not in the pool's catalogue ({known}): "
            f"mend spec.system.name, or ask the platform admin to add it to the pool's spec.pricing.systems"
        )
        return NotOffered(Reason.UNKNOWN_SYSTEM, remedy)
    if system.deployment not in entry.deployments:
        remedy = (
            f"system {system.name!r} is offered as {_listed(entry.deployments)}, not {system.deployment}: "
            f"mend spec.system.deployment, or ask the platform admin to add it to the pool's spec.pricing.systems"
        )
        return NotOffered(Reason.DEPLOYMENT_NOT_OFFERED, remedy)
    if environment is Environment.SANDBOX:
        return Price(0, entry.tier)
    factor = _multiplier(pricing) if system.deployment is Deployment.ON_PREMISES else 1
    return Price(tier_prices(pricing)[entry.tier] * factor, entry.tier)


def tier_prices(pricing: Pricing | None) -> dict[Tier, int]:
    """Credits per tier that are in force."""
    own = (pricing.tiers if pricing else None) or Tiers()
    overrides = {Tier.I: own.I, Tier.II: own.II, Tier.III: own.III}
    return {
        tier: published if (override := overrides[tier]) is None else override
        for tier, published in PUBLISHED_TIERS.items()
    }


def _multiplier(pricing: Pricing | None) -> int:
    return (pricing.on_premises_multiplier if pricing else None) or PUBLISHED_ON_PREMISES_MULTIPLIER


def _catalogue(pricing: Pricing | None) -> dict[str, CatalogueEntry]:
    own = (pricing.systems if pricing else None) or []
    return BUILT_IN | {s.name: CatalogueEntry(s.tier, frozenset(s.deployments), "pool") for s in own}


def _listed(deployments: Iterable[Deployment]) -> str:
    return " or ".join(sorted(deployments))
