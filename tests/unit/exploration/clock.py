"""A clock that goes fast: every look at it is minutes later, so that what waits for a retry is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest

from makini_operator.controllers import allocator, notes, reconciler, take_over

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
    for module in (allocator, take_over):
        patch.setattr(module, "asyncio", _WithoutLoop)


class _WithoutLoop:
    """What these take from asyncio, for tasks that are resumed by hand: no pauses, one thing after another."""

    Event = asyncio.Event

    @staticmethod
    async def sleep(_: float) -> None:
        pass

    @staticmethod
    async def gather(*tasks: Coroutine[Any, Any, Any], return_exceptions: bool) -> list[Any]:
        assert return_exceptions
        outcomes: list[Any] = []
        try:
            for task in tasks:
                try:
                    outcomes.append(await task)
                except Exception as error:  # noqa: BLE001 - as asyncio.gather does
                    outcomes.append(error)
        finally:
            for task in tasks:
                task.close()
        return outcomes
