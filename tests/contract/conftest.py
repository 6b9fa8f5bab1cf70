"""What the contract tests talk to."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.intake import Intake, open_intake


@pytest.fixture
async def intake(redis_url: str) -> AsyncIterator[Intake]:
    async with open_intake(redis_url) as opened:
        yield opened
