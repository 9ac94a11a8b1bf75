"""The NetworkPolicy of sync pods: whom it is for. What it opens: tests/cluster/test_egress.py."""

from typing import Any

import pytest
from tests.unit.lifecycle.builders import connection

from makini_operator.manifests import egress
from makini_operator.resources.selector import LabelSelector

SYNC: dict[str, Any] = {
    "name": "orders",
    "schedule": "@hourly",
    "entities": ["erp/vendors"],
    "destination": {"duckdb": {"volumeClaimName": "history"}},
}


@pytest.mark.parametrize(
    ("labels", "is_meant"),
    [
        ({"makini.io/connection": "acme", "makini.io/sync": "orders"}, True),
        ({"makini.io/connection": "other", "makini.io/sync": "orders"}, False),
        ({"makini.io/connection": "acme", "makini.io/workflow": "orders"}, False),
        ({"makini.io/connection": "acme", "makini.io/workflow": "orders", "makini.io/sync": "orders"}, False),
        ({"makini.io/connection": "acme"}, False),
        ({}, False),
    ],
)
def test_it_is_for_the_pods_of_syncs_and_for_no_workflow(labels: dict[str, str], is_meant: bool) -> None:
    of = connection(syncs=[SYNC], syncEgress=[{"cidr": "203.0.113.0/24"}])
    selector = LabelSelector.model_validate(egress.network_policy(of)["spec"]["podSelector"])
    assert selector.matches(labels) is is_meant
