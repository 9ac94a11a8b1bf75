"""The built-in catalogue: which systems exist, where they may run, and their tier.

Only two entries are prices that Makini has published (SAP S/4HANA cloud, SAP ECC
on-premises); the rest follow the published rule of thumb (tier I simple cloud CMMS, II
mid-complexity ERP, III complex systems such as SAP) and are marked `assumed`. A pool
overrides any of them in `spec.pricing.systems`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from makini_operator.resources.systems import Deployment, Tier

_CLOUD = frozenset({Deployment.CLOUD})
_ON_PREMISES = frozenset({Deployment.ON_PREMISES})
_BOTH = _CLOUD | _ON_PREMISES


@dataclass(frozen=True)
class CatalogueEntry:
    """One system: its tier, where it may run, and how sure we are."""

    tier: Tier
    deployments: frozenset[Deployment]
    source: Literal["published", "assumed", "pool"]


BUILT_IN: dict[str, CatalogueEntry] = {
    "sap-s4hana": CatalogueEntry(Tier.III, _CLOUD, "published"),
    "sap-ecc": CatalogueEntry(Tier.III, _ON_PREMISES, "published"),
    "oracle-fusion": CatalogueEntry(Tier.III, _CLOUD, "assumed"),
    "maximo": CatalogueEntry(Tier.III, _BOTH, "assumed"),
    "microsoft-dynamics-365": CatalogueEntry(Tier.II, _BOTH, "assumed"),
    "infor-cloudsuite": CatalogueEntry(Tier.II, _CLOUD, "assumed"),
    "netsuite": CatalogueEntry(Tier.II, _CLOUD, "assumed"),
    "fiix": CatalogueEntry(Tier.I, _CLOUD, "assumed"),
    "upkeep": CatalogueEntry(Tier.I, _CLOUD, "assumed"),
    "emaint": CatalogueEntry(Tier.I, _CLOUD, "assumed"),
    "limble": CatalogueEntry(Tier.I, _CLOUD, "assumed"),
    "maintainx": CatalogueEntry(Tier.I, _CLOUD, "assumed"),
}
