"""Ingest and api; workers are opened by the test (`tests.monitoring.pages.a_worker`)."""

from collections.abc import AsyncIterator

import pytest

from tests.stack import Stack, open_stack


@pytest.fixture
async def idle_stack(database_url: str, redis_url: str) -> AsyncIterator[Stack]:
    async with open_stack(database_url, redis_url, workers=0) as opened:
        yield opened
