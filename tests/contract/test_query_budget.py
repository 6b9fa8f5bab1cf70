"""One project that asks for much is told to wait, and leaves another project its connections."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.api.app import open_app
from tests.contract.problems import assert_problem
from tests.stack import Stack, api_settings, client_of, make_project
from tests.waiting import wait_until

SCORES_ARE_LOCKED = "BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
async def narrow(stack: Stack) -> AsyncIterator[Stack]:
    """An api in which a project may have two queries in hand."""
    settings = api_settings(stack.database_url, stack.redis_url, project_queries_max=2, query_timeout_ms=30_000)
    async with open_app(settings) as app, client_of(app) as client:
        stack.api = client
        yield stack


async def test_a_project_with_its_queries_in_hand_is_told_to_wait_and_another_is_answered(narrow: Stack) -> None:
    other = await make_project(narrow.database_url, narrow.redis_url, "other")
    assert (await narrow.read("/v1/scores")).status_code == 200

    async with narrow.connection() as session:
        await session.execute(SCORES_ARE_LOCKED)
        hanging = [asyncio.create_task(narrow.read("/v1/scores")) for _ in range(2)]
        await wait_until(lambda: session.fetchval("SELECT count(*) = 2 FROM pg_locks WHERE NOT granted"))
        refused = await narrow.read("/v1/score-configs")
        answered = await narrow.read("/v1/score-configs", project=other)
        await session.execute("ROLLBACK")

    assert_problem(refused, 429, "too_many_queries")
    assert refused.headers["retry-after"] == "2"
    assert answered.status_code == 200
    assert [(await task).status_code for task in hanging] == [200, 200]
