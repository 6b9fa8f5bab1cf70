"""How `Assay-Complete-Through` looks at the dead letters: seldom, and never too late."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from services.api.complete_through import HEADER, CompleteThrough
from services.api.metrics import ApiMetrics
from shared import dead_letters, queue
from shared.dead_letters import bury, places
from tests.unit.making import PROJECT

SHARDS = 8
STREAM = queue.stream_of(PROJECT, SHARDS)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as opened:
        await queue.ensure_groups(opened, SHARDS)
        yield opened


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many dead letters there were, each time that all were asked for."""
    counts: list[int] = []

    async def counting(redis: Redis) -> list[tuple[int, str]]:
        found = await places(redis)
        counts.append(len(found))
        return found

    monkeypatch.setattr(dead_letters, "places", counting)
    return counts


def opened(redis: Redis) -> CompleteThrough:
    return CompleteThrough(redis, ApiMetrics(), SHARDS)


async def an_entry(redis: Redis) -> queue.Entry:
    entry_id = await redis.xadd(queue.key_of(STREAM), {queue.FIELD: b"not an envelope"})
    return queue.Entry(STREAM, entry_id.decode(), b"not an envelope")


def is_before(complete_through: CompleteThrough, entry: queue.Entry) -> bool:
    moment = datetime.fromisoformat(complete_through.headers(PROJECT)[HEADER].replace("Z", "+00:00"))
    return moment < datetime.fromtimestamp(int(entry.entry_id.partition("-")[0]) / 1000, UTC)


async def test_dead_letters_are_asked_for_only_when_one_more_was_buried(redis: Redis, fetched: list[int]) -> None:
    complete_through = opened(redis)
    for _ in range(2):
        await complete_through.look()
        await bury(redis, await an_entry(redis), "a test")
        for _ in range(5):
            await complete_through.look()

    assert fetched == [1, 2]


async def test_no_dead_letter_is_passed_by_whenever_it_is_buried(
    redis: Redis, fetched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    complete_through, entry = opened(redis), await an_entry(redis)

    async def buried_after_the_streams_were_seen(redis: Redis, shards: int) -> tuple[int, list[queue.StreamState]]:
        found = await queue.states(redis, shards)
        if not await places(redis):
            await bury(redis, entry, "a test")
        return found

    monkeypatch.setattr("services.api.complete_through.states", buried_after_the_streams_were_seen)
    for _ in range(3):
        await complete_through.look()
        assert is_before(complete_through, entry)


async def test_one_that_is_buried_while_the_others_are_fetched_is_not_passed_by(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete_through, first, second = opened(redis), await an_entry(redis), await an_entry(redis)
    await bury(redis, first, "a test")

    async def too_late(redis: Redis) -> list[tuple[int, str]]:
        found = await places(redis)
        if len(found) == 1:
            await bury(redis, second, "a test")
        return found

    monkeypatch.setattr(dead_letters, "places", too_late)
    await complete_through.look()
    [letter, _] = [letter async for letter in dead_letters.dead_letters(redis)]
    await dead_letters.remove(redis, letter)
    await complete_through.look()

    assert is_before(complete_through, second)


async def test_completeness_goes_on_when_the_dead_letters_have_gone(redis: Redis) -> None:
    complete_through = CompleteThrough(redis, ApiMetrics(), SHARDS, places_seconds=0)
    entry = await an_entry(redis)
    await bury(redis, entry, "a test")
    await complete_through.look()
    assert is_before(complete_through, entry)

    [letter] = [letter async for letter in dead_letters.dead_letters(redis)]
    await dead_letters.remove(redis, letter)
    await complete_through.look()

    assert not is_before(complete_through, entry)
