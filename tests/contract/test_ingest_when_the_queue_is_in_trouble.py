"""Queue full or Redis away: a 503 with `Retry-After`, and never a 202 for something that is not queued."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from deploy.local.redis import EmbeddedRedis
from tests.builders import a_score
from tests.contract.intake import Intake, open_intake
from tests.contract.problems import assert_problem
from tests.waiting import wait_until


@pytest.fixture
async def full(intake: Intake) -> AsyncIterator[Intake]:
    """A Redis without memory for anything more, and with as much as before afterwards."""
    assert (await intake.send(a_score())).status_code == 202
    before = (await intake.redis.config_get("maxmemory"))["maxmemory"]
    await intake.redis.config_set("maxmemory", "1")
    yield intake
    await intake.redis.config_set("maxmemory", before)


@pytest.fixture
def mortal_redis(tmp_path: Path) -> EmbeddedRedis:
    """A Redis that a test may stop."""
    return EmbeddedRedis(tmp_path, durable=False)


async def test_a_redis_without_memory_is_a_503(full: Intake) -> None:
    answer = await full.send(a_score())

    assert_problem(answer, 503, "queue_full")
    assert int(answer.headers["retry-after"]) >= 1
    assert await full.queued() == 1


async def test_malformed_batches_are_told_so_also_while_the_queue_is_full(full: Intake) -> None:
    assert (await full.send(a_score(value=None))).status_code == 422


async def test_a_partial_batch_is_not_queued_in_part_and_forgotten(full: Intake) -> None:
    assert_problem(await full.send(a_score(), a_score(value=None)), 503, "queue_full")


async def test_a_queue_that_has_room_again_takes_scores_again(full: Intake) -> None:
    assert_problem(await full.send(a_score()), 503)

    await full.redis.config_set("maxmemory", "0")

    assert (await full.send(a_score())).status_code == 202
    assert await full.queued() == 2


async def fill(intake: Intake, *scores: dict[str, Any]) -> tuple[int, httpx.Response]:
    """Send one batch after the other until one is refused: how many were accepted, and the refusal."""
    accepted = itertools.count()

    async def refusal() -> httpx.Response | None:
        answer = await intake.send(*scores)
        if answer.status_code != 202:
            return answer
        next(accepted)
        return None

    refused = await wait_until(refusal)
    assert refused is not None
    return next(accepted), refused


async def test_a_queue_with_as_many_entries_as_allowed_is_a_503(redis_url: str) -> None:
    async with open_intake(redis_url, queue_entries_max=2) as intake:
        accepted, refusal = await fill(intake, a_score())

        assert_problem(refusal, 503, "queue_full")
        assert int(refusal.headers["retry-after"]) >= 1
        assert await intake.queued() == accepted >= 2


async def test_a_queue_with_as_many_bytes_as_allowed_is_a_503(redis_url: str) -> None:
    async with open_intake(redis_url, queue_bytes_max=20_000) as intake:
        accepted, refusal = await fill(intake, a_score(comment="x" * 9_000))

        assert_problem(refusal, 503, "queue_full")
        assert await intake.queued() == accepted >= 2


async def test_what_was_refused_does_not_count_against_the_limit(redis_url: str) -> None:
    async with open_intake(redis_url, queue_entries_max=1) as intake:
        for _ in range(3):
            assert (await intake.send(a_score(value=None))).status_code == 422

        assert (await intake.send(a_score())).status_code == 202


async def test_a_queue_that_was_emptied_takes_scores_again(redis_url: str) -> None:
    async with open_intake(redis_url, queue_entries_max=1) as intake:
        await fill(intake, a_score())

        for key in [key async for key in intake.redis.scan_iter("assay:scores:*")]:
            await intake.redis.xtrim(key, maxlen=0, approximate=False)

        async def has_room() -> bool:
            return (await intake.send(a_score())).status_code == 202

        assert await wait_until(has_room)


async def test_a_redis_that_is_away_from_the_start_is_a_503(mortal_redis: EmbeddedRedis) -> None:
    with mortal_redis:
        url = mortal_redis.url
        async with open_intake(url) as intake:
            mortal_redis.stop()
            answer = await intake.send(a_score())

    assert_problem(answer, 503, "queue_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_redis_that_goes_away_is_a_503_also_for_a_known_key(mortal_redis: EmbeddedRedis) -> None:
    with mortal_redis:
        async with open_intake(mortal_redis.url) as intake:
            assert (await intake.send(a_score())).status_code == 202
            mortal_redis.stop()

            answer = await intake.send(a_score())

            assert_problem(answer, 503, "queue_unavailable")
            assert (await intake.client.get("/readyz")).status_code == 503
            assert (await intake.client.get("/readyz?exclude=queue")).json()["parts"] == {}
            assert (await intake.client.get("/readyz?exclude=queue")).status_code == 200
            assert (await intake.client.get("/healthz")).status_code == 200


async def test_a_redis_that_comes_back_takes_scores_again_and_has_nothing_of_what_was_refused(
    mortal_redis: EmbeddedRedis,
) -> None:
    with mortal_redis:
        async with open_intake(mortal_redis.url) as intake:
            assert (await intake.send(a_score())).status_code == 202
            mortal_redis.stop()
            assert_problem(await intake.send(a_score()), 503)
            mortal_redis.start()

            async def is_back() -> bool:
                return (await intake.send(a_score())).status_code == 202

            assert await wait_until(is_back)
            assert await queued_in(mortal_redis.url) == 1


async def queued_in(url: str) -> int:
    redis = Redis.from_url(url)
    try:
        return sum([await redis.xlen(key) async for key in redis.scan_iter("assay:scores:*")])
    finally:
        await redis.aclose()


async def test_few_heavy_scores_are_a_flood_as_many_light_ones_are(redis_url: str) -> None:
    """By the batch id: a bulk stream has an odd number."""
    heavy = [a_score(metadata={"text": "x" * 7_000}) for _ in range(10)]
    async with open_intake(redis_url, flood_scores_per_second=0.001, flood_burst=100) as intake:
        answers = [await intake.send(*(a_score() for _ in range(10))), await intake.send(*heavy)]

    assert [int(answer.json()["batch_id"].rsplit("-", 1)[1]) % 2 for answer in answers] == [0, 1]
