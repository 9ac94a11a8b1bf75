"""A clock that goes fast: every look at it is minutes later, so that what waits for a retry is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest

from makini_operator.controllers import allocator, notes, reconciler

STEP = timedelta(minutes=3)


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Make the operator's clock go fast."""
    looks = 0

    class Fast(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            nonlocal looks
            looks += 1
            return datetime.now(tz) + looks * STEP

    for module in (allocator, notes, reconciler):
        patch.setattr(module, "datetime", Fast)
