"""What a connection costs: the published scheme, and what a pool may change about it."""

from typing import Any

import pytest

from makini_operator.credits.catalogue import BUILT_IN
from makini_operator.credits.price import NotOffered, Price, price, tier_prices
from makini_operator.resources.connection import Environment, System
from makini_operator.resources.pricing import Pricing
from makini_operator.resources.reasons import Reason
from makini_operator.resources.systems import Deployment, Tier

ACME_ERP: dict[str, Any] = {"systems": [{"name": "acme-erp", "tier": "II", "deployments": ["Cloud", "OnPremises"]}]}
ECC_AS_CLOUD: dict[str, Any] = {"systems": [{"name": "sap-ecc", "tier": "I", "deployments": ["Cloud"]}]}


def cost(system: str, deployment: str, environment: str = "Production", **pricing: Any) -> Price | NotOffered:
    return price(
        System(name=system, deployment=Deployment(deployment)),
        Environment(environment),
        Pricing.model_validate(pricing) if pricing else None,
    )


@pytest.mark.parametrize(
    ("system", "deployment", "environment", "pricing", "expected"),
    [
        ("sap-s4hana", "Cloud", "Production", {}, Price(4, Tier.III)),
        ("sap-ecc", "OnPremises", "Production", {}, Price(8, Tier.III)),
        ("maximo", "Cloud", "Production", {}, Price(4, Tier.III)),
        ("maximo", "OnPremises", "Production", {}, Price(8, Tier.III)),
        ("netsuite", "Cloud", "Production", {}, Price(2, Tier.II)),
        ("microsoft-dynamics-365", "OnPremises", "Production", {}, Price(4, Tier.II)),
        ("fiix", "Cloud", "Production", {}, Price(1, Tier.I)),
        # a test instance of the real system is the real API, and is paid
        ("sap-ecc", "OnPremises", "Test", {}, Price(8, Tier.III)),
        ("fiix", "Cloud", "Test", {}, Price(1, Tier.I)),
        # sample data is free, whatever the pool charges
        ("sap-s4hana", "Cloud", "Sandbox", {}, Price(0, Tier.III)),
        ("sap-ecc", "OnPremises", "Sandbox", {}, Price(0, Tier.III)),
        ("fiix", "Cloud", "Sandbox", {"tiers": {"I": 9}}, Price(0, Tier.I)),
        # what a pool changes; the rest stays as published
        ("sap-s4hana", "Cloud", "Production", {"tiers": {"III": 5}}, Price(5, Tier.III)),
        ("fiix", "Cloud", "Production", {"tiers": {"III": 5}}, Price(1, Tier.I)),
        ("fiix", "Cloud", "Production", {"tiers": {"I": 0}}, Price(0, Tier.I)),
        ("sap-ecc", "OnPremises", "Production", {"onPremisesMultiplier": 3}, Price(12, Tier.III)),
        ("sap-ecc", "OnPremises", "Production", {"onPremisesMultiplier": 1}, Price(4, Tier.III)),
        ("sap-s4hana", "Cloud", "Production", {"onPremisesMultiplier": 3}, Price(4, Tier.III)),
        ("acme-erp", "Cloud", "Production", ACME_ERP, Price(2, Tier.II)),
        ("acme-erp", "OnPremises", "Production", ACME_ERP, Price(4, Tier.II)),
        ("sap-ecc", "Cloud", "Production", ECC_AS_CLOUD, Price(1, Tier.I)),
        ("acme-erp", "OnPremises", "Production", ACME_ERP | {"tiers": {"II": 3}}, Price(6, Tier.II)),
    ],
)
def test_a_connection_costs(
    system: str, deployment: str, environment: str, pricing: dict[str, Any], expected: Price
) -> None:
    assert cost(system, deployment, environment, **pricing) == expected


@pytest.mark.parametrize(
    ("system", "deployment", "pricing", "reason", "remedy"),
    [
        ("sap", "Cloud", {}, Reason.UNKNOWN_SYSTEM, "mend spec.system.name"),
        ("acme-erp", "Cloud", {}, Reason.UNKNOWN_SYSTEM, "spec.pricing.systems"),
        ("sap-s4hana", "OnPremises", {}, Reason.DEPLOYMENT_NOT_OFFERED, "offered as Cloud, not OnPremises"),
        ("sap-ecc", "Cloud", {}, Reason.DEPLOYMENT_NOT_OFFERED, "offered as OnPremises, not Cloud"),
        # an override replaces the whole entry
        ("sap-ecc", "OnPremises", ECC_AS_CLOUD, Reason.DEPLOYMENT_NOT_OFFERED, "offered as Cloud, not OnPremises"),
    ],
)
def test_what_is_not_offered_says_how_to_mend_it(
    system: str, deployment: str, pricing: dict[str, Any], reason: Reason, remedy: str
) -> None:
    answer = cost(system, deployment, **pricing)
    assert isinstance(answer, NotOffered)
    assert answer.reason is reason
    assert remedy in answer.remedy


def test_an_unknown_system_is_told_the_systems_of_this_pool() -> None:
    answer = cost("acme-crm", "Cloud", **ACME_ERP)
    assert isinstance(answer, NotOffered)
    assert "acme-erp" in answer.remedy
    assert "sap-s4hana" in answer.remedy


def test_a_system_that_is_not_offered_is_not_free_in_the_sandbox_either() -> None:
    assert isinstance(cost("sap", "Cloud", "Sandbox"), NotOffered)


def test_tiers_are_published_as_1_2_4() -> None:
    assert tier_prices(None) == {Tier.I: 1, Tier.II: 2, Tier.III: 4}


def test_only_the_two_prices_that_makini_published_are_called_published() -> None:
    assert {name for name, entry in BUILT_IN.items() if entry.source == "published"} == {"sap-s4hana", "sap-ecc"}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_on_premises_costs_double_its_cloud_equivalent(name: str) -> None:
    if len(BUILT_IN[name].deployments) == 2:
        cloud, on_premises = cost(name, "Cloud"), cost(name, "OnPremises")
        assert isinstance(cloud, Price)
        assert isinstance(on_premises, Price)
        assert on_premises.amount == 2 * cloud.amount
