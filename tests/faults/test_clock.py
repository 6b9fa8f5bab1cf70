"""A clock jumps. That of Redis's machine: entry ids stay in order, and so do the writes to one score. Those of the
services: order does not depend on them."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from redis.asyncio import Redis

from services.api import complete_through
from services.ingest import queue_watch
from services.ingest.app import open_app as open_ingest
from services.ingest.settings import Settings
from shared import queue
from tests.builders import a_score
from tests.faults.house import MARKS, House, working
from tests.stack import client_of
from tests.waiting import wait_until

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


async def test_the_latest_received_wins_when_ingest_is_started_after_the_clock_was_set_back(house: House) -> None:
    """The project flooded while the clock was ahead: its bulk stream is, and the new process knows no id of it."""
    bulk = queue.stream_of(house.project.id, SHARDS, bulk=True)
    first = await house.send(a_score(id="s1", value=0.1))
    async with Redis.from_url(house.redis_url) as redis:
        entry = await queue.find(redis, first.json()["batch_id"])
        assert entry is not None
        ahead = f"{(await redis.time())[0] * 1000 + HOUR_MS}-0"
        await redis.xadd(queue.key_of(bulk), {queue.FIELD: entry.data}, id=ahead)

    async with open_ingest(Settings(redis_url=house.redis_url)) as ingest, client_of(ingest) as house.ingest:
        later = await house.send(a_score(id="s1", value=0.2))
        async with working(house):
            assert (await house.receipt(later.json()["batch_id"]))["rejected"] == 0
            await house.receipt(queue.batch_id_of(bulk, ahead))
            assert (await house.read("/v1/scores/s1")).json()["value"] == 0.2

            assert (await house.api.delete("/v1/scores/s1", headers=house.project.headers)).status_code == 204
            after_delete = await house.store(a_score(id="s1", value=0.3))

    assert (after_delete["stored"], after_delete["unchanged"]) == (1, 0)
    assert (await house.read("/v1/scores/s1")).json()["value"] == 0.3


async def test_a_score_that_is_queued_during_the_look_is_no_clock_set_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.send(a_score())
    looks: list[httpx.Response] = []

    async def with_a_score_before_the_answer(redis: Redis, shards: int) -> tuple[int, list[queue.StreamState]]:
        found = await queue.states(redis, shards)
        await asyncio.sleep(0.002)
        looks.append(await house.send(a_score()))
        return found

    monkeypatch.setattr(queue_watch, "states", with_a_score_before_the_answer)
    await wait_until(lambda: len(looks) > 1, what="two looks")

    assert not house.told("queue_clock_set_back")


def through_of(answer: httpx.Response) -> datetime:
    return datetime.fromisoformat(answer.headers["Assay-Complete-Through"].replace("Z", "+00:00"))


async def redis_s_clock_was_ahead(house: House, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """By an hour, until just now. Redis's time then, which is the right one."""

    async def an_hour_ahead(redis: Redis, shards: int) -> tuple[int, list[queue.StreamState]]:
        now_ms, found = await queue.states(redis, shards)
        return now_ms + HOUR_MS, found

    async def says_so() -> bool:
        return through_of(await house.read("/v1/scores")) > datetime.now(UTC) + timedelta(minutes=50)

    monkeypatch.setattr(complete_through, "states", an_hour_ahead)
    await wait_until(says_so, what="a header of the clock that is ahead")
    monkeypatch.setattr(complete_through, "states", queue.states)
    return datetime.now(UTC)


async def is_looked_at(house: House) -> None:
    """The api has seen the queue since."""
    seen: list[object] = []
    with pytest.MonkeyPatch.context() as patch:

        async def states(redis: Redis, shards: int) -> tuple[int, list[queue.StreamState]]:
            found = await queue.states(redis, shards)
            seen.append(found)
            return found

        patch.setattr(complete_through, "states", states)
        await wait_until(lambda: len(seen) > 1, what="a look at the queue")


async def test_complete_through_does_not_stay_ahead_when_the_clock_was_set_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_back_at = await redis_s_clock_was_ahead(house, monkeypatch)
    await house.send(a_score())
    received = datetime.now(UTC)
    await is_looked_at(house)

    through = through_of(await house.read("/v1/scores"))

    assert set_back_at - timedelta(minutes=1) < through < received


async def test_complete_through_leaves_out_what_was_received_under_an_id_ahead_of_the_clock(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pin_an_hour_ahead(house)
    await redis_s_clock_was_ahead(house, monkeypatch)
    await house.send(a_score())
    received = datetime.now(UTC)
    await is_looked_at(house)

    assert through_of(await house.read("/v1/scores")) < received
