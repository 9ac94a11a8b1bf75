"""Amounts of CPU and memory as Kubernetes writes them, in the forms that our schema admits (`resources/sync.py`)."""

from __future__ import annotations

import re
from decimal import Decimal

_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTP", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTP", start=1)},
}
_FORM = re.compile(f"([0-9]+(?:[.][0-9]+)?)({'|'.join(_FACTORS)})")


def amount(quantity: str) -> Decimal:
    """What it amounts to, in bytes or processors: 1073741824 for 1Gi, 0.5 for 500m.

    Raises `ValueError` if it is no such quantity.
    """
    found = _FORM.fullmatch(quantity)
    if found is None:
        raise ValueError(f"{quantity!r} is no quantity that is known here: it must be one such as 500m or 512Mi")
    number, suffix = found.groups()
    return Decimal(number) * _FACTORS[suffix]
