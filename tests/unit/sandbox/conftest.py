from collections.abc import AsyncIterator

import pytest
from tests.unit.sandbox.box import Box, running


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    async with running() as it:
        yield it


@pytest.fixture
async def faulty() -> AsyncIterator[Box]:
    async with running(allow_faults=True) as it:
        yield it
