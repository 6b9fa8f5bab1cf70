"""Many who wait at once: for a connection to Redis, for receipts."""

import asyncio
import functools

import pytest

from services.api.context import Waiters
from shared.queue import ensure_groups
from shared.redis_client import open_redis
from tests.builders import a_score
from tests.stack import open_stack


async def test_more_calls_at_once_than_connections_wait_for_one_another(redis_url: str) -> None:
    redis = open_redis(redis_url, connections_max=2)

    answers = await asyncio.gather(*(redis.ping() for _ in range(50)))

    await redis.aclose()
    assert answers == [True] * 50


async def test_more_readers_wait_for_receipts_than_there_are_connections(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.app.open_redis", functools.partial(open_redis, connections_max=1))
    async with open_stack(database_url, redis_url, workers=0) as stack:
        redis = open_redis(redis_url)
        await ensure_groups(redis, 8)
        await redis.aclose()
        batch_id = (await stack.send(a_score())).json()["batch_id"]

        answers = await asyncio.gather(*(stack.read(f"/v1/batches/{batch_id}", wait=1) for _ in range(120)))

        assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "pending")}


async def test_the_more_wait_the_less_often_each_looks() -> None:
    waiters, pauses = Waiters(), []

    async def look() -> bool:
        pauses.append(waiters.pause_seconds)
        return True

    await asyncio.gather(*(waiters.wait(False, look, bool, 30) for _ in range(100)))

    assert (pauses[0], waiters.pause_seconds) == (0.2, 0.05)


async def test_who_may_not_wait_is_answered_at_once() -> None:
    async def look() -> bool:
        raise AssertionError

    assert not await Waiters().wait(False, look, bool, 0)
