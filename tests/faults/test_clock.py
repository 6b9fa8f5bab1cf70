"""A clock jumps. That of Redis's machine: entry ids stay in order, and so do the writes to one score. Those of the
services: order does not depend on them."""

from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from services.ingest.app import open_app as open_ingest
from services.ingest.settings import Settings
from shared import queue
from tests.builders import a_score
from tests.faults.house import MARKS, House, working
from tests.stack import client_of

pytestmark = MARKS

SHARDS = 8
HOUR_MS = 60 * 60 * 1000


async def pin_an_hour_ahead(house: House) -> None:
    """As if the clock had been an hour ahead until just now: Redis counts on from the last id it gave."""
    stream = queue.key_of(queue.stream_of(house.project.id, SHARDS))
    async with Redis.from_url(house.redis_url) as redis:
        await queue.ensure_groups(redis, SHARDS)
        seconds, _ = await redis.time()
        entry_id = await redis.xadd(stream, {b"e": b""}, id=f"{seconds * 1000 + HOUR_MS}-0")
        await redis.xdel(stream, entry_id)


async def test_the_latest_received_wins_when_the_clock_has_jumped_back(house: House) -> None:
    async with working(house):
        await house.store(a_score(id="s1", value=0.1))
        await pin_an_hour_ahead(house)

        for value in (0.2, 0.3, 0.4):
            receipt = await house.store(a_score(id="s1", value=value))
            assert (receipt["replaced"], receipt["unchanged"]) == (1, 0)

    assert (await house.read("/v1/scores/s1")).json()["value"] == 0.4
    await house.holds_exactly({"s1"})


async def test_the_latest_received_wins_when_the_clock_has_jumped_back_and_the_project_floods(house: House) -> None:
    await pin_an_hour_ahead(house)
    settings = Settings(redis_url=house.redis_url, flood_scores_per_second=0.001, flood_burst=2)
    async with open_ingest(settings) as ingest, client_of(ingest) as house.ingest, working(house):
        await house.store(a_score(id="s1", value=0.1))
        await house.is_told("queue_clock_set_back")
        await house.store(*(a_score(id=f"f{number}") for number in range(10)))

        latest = await house.store(a_score(id="s1", value=0.2))

    assert (latest["replaced"], latest["unchanged"]) == (1, 0)
    assert (await house.read("/v1/scores/s1")).json()["value"] == 0.2


async def test_many_writes_pinned_to_one_millisecond_keep_their_order(house: House) -> None:
    await pin_an_hour_ahead(house)
    answers = [await house.send(a_score(id="s1", value=value / 100)) for value in range(100)]

    async with working(house, persist_scores_max=7):
        for answer in answers:
            await house.receipt(answer.json()["batch_id"])

    assert (await house.read("/v1/scores/s1")).json()["value"] == 0.99
    await house.holds_exactly({"s1"})


@pytest.mark.parametrize("module", ["services.ingest.endpoints", "services.worker.writes"])
async def test_the_latest_received_wins_whatever_the_clock_of_a_service_says(
    house: House, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(house):
        for value, hours in ((0.1, 0), (0.2, 48), (0.3, -48), (0.4, 1)):
            clock = datetime.now(UTC) + timedelta(hours=hours)
            monkeypatch.setattr(f"{module}.utc_now", lambda moment=clock: moment)
            receipt = await house.store(a_score(id="s1", value=value))
            assert receipt["stored"] + receipt["replaced"] == 1

    assert (await house.read("/v1/scores/s1")).json()["value"] == 0.4
    await house.holds_exactly({"s1"})
