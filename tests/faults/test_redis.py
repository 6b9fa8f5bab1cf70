"""Redis restarts, can't be reached, is full. Nobody is told 202 for something that is not queued durably."""

import asyncio
from collections.abc import Callable
from typing import cast

import httpx
import pytest
from redis.asyncio import Redis

from services.ingest.app import open_app as open_ingest
from services.ingest.group_commit import GroupCommit
from services.ingest.metrics import IngestMetrics
from services.ingest.queue_watch import QueueWatch
from services.ingest.settings import Settings
from shared.errors import QueueUnavailable
from tests.builders import a_score
from tests.chaos.house import Server
from tests.faults.house import MARKS, House, working
from tests.stack import client_of
from tests.system.processes import Service
from tests.waiting import wait_until

pytestmark = MARKS

BREAKS: dict[str, Callable[[Server], object]] = {"killed": Server.kill, "stopped": Server.stop}


def assert_try_later(answer: httpx.Response, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("how", BREAKS)
async def test_what_was_accepted_survives_a_redis_that_goes_down_at_once(house: House, how: str) -> None:
    answers = [await house.send(a_score(id=f"s{number}")) for number in range(20)]
    BREAKS[how](house.redis)
    assert [answer.status_code for answer in answers] == [202] * 20
    house.redis.start()

    async with working(house):
        for answer in answers:
            assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 1

    await house.holds_exactly({f"s{number}" for number in range(20)})


async def test_while_redis_is_down_senders_are_told_to_come_back_and_all_goes_on_by_itself(house: House) -> None:
    async with working(house):
        await house.store(a_score(id="before"))
        house.redis.kill()

        answer = await house.send(a_score(id="meanwhile"))
        assert_try_later(answer, "queue_unavailable")
        assert "queue" in await house.ready_parts(house.ingest)
        assert house.worker is not None
        assert "queue" in await house.ready_parts(house.worker)
        await house.is_told("queue_unreachable")
        await house.is_told("queue_watch_failed")
        house.redis.start()
        await house.receipt(await house.is_accepted(a_score(id="after")))

        assert await house.ready_parts(house.ingest) == await house.ready_parts(house.worker) == {}
    await house.holds_exactly({"before", "after"})


async def test_an_ingest_that_starts_before_redis_takes_scores_once_it_is_there(house: House) -> None:
    await house.send(a_score())  # so that the key is known from here on
    house.redis.kill()
    async with open_ingest(Settings(redis_url=house.redis_url)) as ingest, client_of(ingest) as house.ingest:
        assert_try_later(await house.send(a_score()), "queue_unavailable")
        house.redis.start()

        await house.is_accepted(a_score(id="after"))


async def test_reads_go_on_while_redis_is_down(house: House) -> None:
    async with working(house):
        receipt = await house.store(a_score(id="before"))
    house.redis.kill()

    assert len(await house.items("/v1/scores")) == 1
    assert (await house.read(f"/v1/batches/{receipt['batch_id']}")).json()["status"] == "done"
    assert_try_later(await house.read("/v1/batches/1-1-1"), "queue_unavailable")


async def test_a_redis_that_stands_still_gives_503_and_a_retry_doubles_nothing(house: House) -> None:
    async with working(house):
        await house.store(a_score(id="before"))
        async with house.frozen(house.redis):
            assert_try_later(await house.send(a_score(id="meanwhile")), "queue_unavailable")
        await house.receipt(await house.is_accepted(a_score(id="meanwhile")))
        await house.receipt(await house.is_accepted(a_score(id="after")))

    await house.holds_exactly({"before", "meanwhile", "after"})


async def test_a_full_redis_gives_503_while_the_queue_is_emptied(house: House) -> None:
    async with working(house), Redis.from_url(house.redis_url) as redis:
        await house.store(a_score(id="first"))
        async with house.frozen(house.postgres):  # so that the queue holds something
            before = await house.send(a_score(id="before"))
            await redis.config_set("maxmemory", 1)
            assert_try_later(await house.send(a_score(id="meanwhile")), "queue_full")
        assert (await house.receipt(before.json()["batch_id"]))["stored"] == 1
        await redis.config_set("maxmemory", 0)
        await house.receipt(await house.is_accepted(a_score(id="after")))

    await house.holds_exactly({"first", "before", "after"})


async def test_a_worker_that_starts_while_redis_is_full_empties_it(house: House) -> None:
    async with working(house):
        await house.store(a_score(id="first"))
    before = await house.send(a_score(id="before"))

    async with Redis.from_url(house.redis_url) as redis:
        await redis.config_set("maxmemory", 1)
        async with working(house):
            assert (await house.receipt(before.json()["batch_id"]))["stored"] == 1

    await house.holds_exactly({"first", "before"})


async def test_a_redis_that_may_lose_things_is_told_at_the_start(breakable_redis: Server) -> None:
    async with Redis.from_url(breakable_redis.url) as redis:
        await redis.config_set("appendfsync", "everysec")
        try:
            with Service("ingest", "", breakable_redis.url) as ingest:
                await wait_until(lambda: ingest.has_logged("queue_not_durable"))
        finally:
            await redis.config_set("appendfsync", "always")


@pytest.mark.parametrize("how", BREAKS)
async def test_a_worker_with_both_roles_outlives_a_restart_of_redis(house: House, how: str) -> None:
    with Service("worker", house.database_url, house.redis_url) as worker:
        BREAKS[how](house.redis)
        await wait_until(lambda: worker.has_logged("queue_unreachable"))
        house.redis.start()

        await house.receipt(await house.is_accepted(a_score(id="after")))

        assert worker.exit_code() is None
        assert worker.stop() == 0


async def test_a_worker_with_both_roles_outlives_a_full_redis(house: House) -> None:
    with Service("worker", house.database_url, house.redis_url) as worker:
        await house.receipt(await house.is_accepted(a_score(id="before")))
        async with Redis.from_url(house.redis_url) as redis:
            await redis.config_set("maxmemory", 1)
            await wait_until(lambda: worker.has_logged("jobs_interrupted"))
            await redis.config_set("maxmemory", 0)

        await house.receipt(await house.is_accepted(a_score(id="after")))

        assert worker.exit_code() is None


class OddRedis:
    """A client that fails as no client should: so does a closed transport of uvloop, with a RuntimeError."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.entries = 0

    def pipeline(self, *, transaction: bool) -> "OddRedis":
        self.entries = 0
        return self

    def execute_command(self, *command: object) -> None:
        self.entries += 1

    async def execute(self, *, raise_on_error: bool) -> list[bytes]:
        self.failures -= 1
        if self.failures >= 0:
            raise RuntimeError("the handler is closed")
        return [b"1-1"] * self.entries


async def test_group_commit_outlives_an_error_that_nobody_expected() -> None:
    commit = GroupCommit(cast("Redis", OddRedis(failures=1)), IngestMetrics())
    running = asyncio.create_task(commit.run())
    try:
        with pytest.raises(QueueUnavailable):
            await asyncio.wait_for(commit.add(0, b"first"), 5)
        assert await asyncio.wait_for(commit.add(0, b"second"), 5) == "1-1"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_ingest_ends_though_a_cancel_is_swallowed(
    breakable_redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """redis-py sends inside `asyncio.wait_for`, and that of Python 3.11 loses a cancel that comes as it is done."""

    swallowed: list[asyncio.CancelledError] = []

    async def look(_watch: QueueWatch) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancel:
            if swallowed:
                raise
            swallowed.append(cancel)

    monkeypatch.setattr(QueueWatch, "look", look)
    opened = open_ingest(Settings(redis_url=breakable_redis.url))
    await opened.__aenter__()
    await asyncio.sleep(0)

    await asyncio.wait_for(opened.__aexit__(None, None, None), 5)

    assert len(swallowed) == 1  # else the watch was never asked, and this has shown nothing


async def test_a_worker_that_has_lost_redis_stops_when_it_is_asked_to(house: House) -> None:
    with Service("worker", house.database_url, house.redis_url, {"ASSAY_DRAIN_SECONDS": "3"}) as worker:
        house.redis.stop()
        await wait_until(lambda: worker.has_logged("jobs_interrupted"))

        assert worker.stop() == 0

        assert not worker.has_logged("drain_cut_short")
