from collections.abc import AsyncIterator

import pytest
from tests.unit.makini.scripted import Scripted, scripted_server


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted_server() as script:
        yield script
