"""Amounts as Kubernetes writes them."""

from decimal import Decimal

import pytest

from makini_operator.manifests.quantity import amount


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("512Mi", "536870912"),
        ("1Gi", "1073741824"),
        ("0.25Gi", "268435456"),
        ("1Ki", "1024"),
        ("1Pi", "1125899906842624"),
        ("600000k", "600000000"),
        ("2P", "2000000000000000"),
        ("500m", "0.5"),
        ("2", "2"),
        ("1.5", "1.5"),
    ],
)
def test_it_is_worth_what_kubernetes_says(quantity: str, value: str) -> None:
    assert amount(quantity) == Decimal(value)


@pytest.mark.parametrize("quantity", ["", "Mi", "1.2.3", "1KI", "1e9", "1 Gi", "-1", "\u0661Gi", "1Gi\n"])
def test_what_is_no_quantity_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        amount(quantity)
