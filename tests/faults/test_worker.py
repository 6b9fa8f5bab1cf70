"""The worker dies at each step of its loop; two have one entry; a score or an envelope can't be kept."""

import asyncio
import signal

import msgspec
import pytest
from redis.asyncio import Redis

from services.worker.batch import Batch, open_entry
from services.worker.config_cache import ConfigCache
from services.worker.metrics import WorkerMetrics
from services.worker.persist import persist
from shared import queue
from shared.dead_letters import STREAM
from shared.postgres import open_pool
from tests.builders import a_score
from tests.faults.house import MARKS, House, working
from tests.faults.test_postgres import a_session, worker_is_waiting
from tests.system.processes import Service
from tests.waiting import wait_until

pytestmark = MARKS

SHARDS = 8


async def take(house: House, consumer: str) -> list[Batch]:
    """What a worker has in hand after its read."""
    async with Redis.from_url(house.redis_url) as redis:
        await queue.ensure_groups(redis, SHARDS)
        entries = await queue.read(redis, consumer, SHARDS, count=100, block_ms=None)
    opened = [open_entry(entry) for entry in entries]
    return [batch for batch in opened if isinstance(batch, Batch)]


async def write(house: House, batches: list[Batch]) -> None:
    """What a worker does up to its commit."""
    pool = await open_pool(house.database_url, size_max=1, statement_timeout_ms=5000, name="dying")
    await persist(pool, ConfigCache(WorkerMetrics()), batches)
    await pool.close()


async def accept(house: House, *ids: str) -> list[str]:
    """One batch for each id; the batch ids."""
    return [await house.is_accepted(a_score(id=score_id)) for score_id in ids]


async def test_a_worker_that_dies_after_its_read_is_taken_over_from(house: House) -> None:
    batch_ids = await accept(house, "s1", "s2")
    assert len(await take(house, "dead")) == 2

    async with working(house):
        assert [(await house.receipt(batch_id))["stored"] for batch_id in batch_ids] == [1, 1]
        assert await house.metric("assay_worker_claimed_total") == 2

    assert house.told("entries_taken_over")
    await house.holds_exactly({"s1", "s2"})


async def test_a_worker_that_dies_after_its_commit_is_taken_over_from_without_doubling(house: House) -> None:
    batch_ids = await accept(house, "s1", "s2")
    await write(house, await take(house, "dead"))
    before = [await house.receipt(batch_id) for batch_id in batch_ids]

    async with working(house):
        await house.has_counted("assay_worker_claimed_total", at_least=2)
        await wait_until(lambda: _queue_is_empty(house))

    assert [await house.receipt(batch_id) for batch_id in batch_ids] == before
    assert [event.get("already_persisted") for event in house.told("score_batch_persisted")] == [True, True]
    await house.holds_exactly({"s1", "s2"})


async def test_a_process_that_is_killed_inside_its_transaction_leaves_nothing_and_loses_nothing(house: House) -> None:
    with Service("worker", house.database_url, house.redis_url) as worker:
        async with a_session(house) as other, a_session(house) as watcher:
            await other.execute("BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
            [batch_id] = await accept(house, "s1")
            await worker_is_waiting(watcher)
            worker.kill()
            await other.execute("ROLLBACK")

    async with working(house):
        assert (await house.receipt(batch_id))["stored"] == 1

    await house.holds_exactly({"s1"})


async def test_a_process_that_is_killed_between_commit_and_acknowledgement_doubles_nothing(house: House) -> None:
    with Service("worker", house.database_url, house.redis_url, {"ASSAY_WORKER_ROLES": "persist"}) as worker:
        async with a_session(house) as other, a_session(house) as watcher:
            await other.execute("BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
            [batch_id] = await accept(house, "s1")
            await worker_is_waiting(watcher)
            house.redis.kill()  # so that it can't acknowledge
            await other.execute("ROLLBACK")
            await wait_until(lambda: watcher.fetchval("SELECT count(*) FROM batches"))
            await wait_until(lambda: worker.has_logged("step_tried_again", step="acknowledge"))
        worker.kill()
    house.redis.start()
    assert not await _queue_is_empty(house)

    async with working(house):
        await wait_until(lambda: _queue_is_empty(house))

    assert (await house.receipt(batch_id))["stored"] == 1
    await house.holds_exactly({"s1"})


async def test_two_workers_with_one_entry_store_it_once(house: House) -> None:
    await accept(house, *(f"s{number}" for number in range(20)))
    batches = await take(house, "frozen")

    await asyncio.gather(*(write(house, batches) for _ in range(4)))

    receipts = [await house.receipt(batch.batch_id) for batch in batches]
    assert [(receipt["stored"], receipt["replaced"]) for receipt in receipts] == [(1, 0)] * 20
    await house.holds_exactly({f"s{number}" for number in range(20)})


async def test_one_score_that_postgres_refuses_does_not_sink_999_others(house: House) -> None:
    good = ",".join(f'{{"trace_id":"t1","name":"n","value":{n},"id":"s{n}"}}' for n in range(999))
    poison = '{"trace_id":"t1","name":"n","value":1,"id":"poison","metadata":{"poison":true}}'

    async with working(house):
        answer = await house.ingest.post(
            "/v1/scores", content=f'{{"scores":[{good},{poison}]}}', headers=house.project.headers
        )
        receipt = await house.receipt(answer.json()["batch_id"])
        assert await house.metric("assay_worker_scores_rejected_total") == 1

    assert (receipt["stored"], receipt["rejected"]) == (999, 1)
    assert [(one["index"], one["id"], one["code"]) for one in receipt["rejections"]] == [
        (999, "poison", "storage_error")
    ]
    await house.holds_exactly({f"s{n}" for n in range(999)})


async def test_a_nul_character_is_refused_before_it_is_queued(house: House) -> None:
    async with working(house):
        answer = await house.send(*(a_score(id=f"s{n}") for n in range(999)), a_score(id="nul", comment="a\x00b"))

        assert answer.status_code == 207
        assert [(one["index"], one["code"]) for one in answer.json()["errors"]] == [(999, "unfit_text")]
        assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 999


@pytest.mark.parametrize("way", ["one batch", "two batches"])
async def test_a_replacement_that_postgres_refuses_does_not_take_the_good_score_with_it(house: House, way: str) -> None:
    """Both are in one transaction: the good one was acknowledged, and nothing newer is to be stored in its place."""
    good = '{"trace_id":"t1","name":"n","value":1,"id":"s1"}'
    poison = '{"trace_id":"t1","name":"n","value":2,"id":"s1","metadata":{"poison":true}}'
    bodies = [f"{good},{poison}"] if way == "one batch" else [good, poison]
    answers = [
        await house.ingest.post("/v1/scores", content=f'{{"scores":[{body}]}}', headers=house.project.headers)
        for body in bodies
    ]

    async with working(house):
        receipts = [await house.receipt(answer.json()["batch_id"]) for answer in answers]

    counts = [sum(receipt[name] for receipt in receipts) for name in ("stored", "replaced", "unchanged", "rejected")]
    assert counts == [1, 0, 0, 1]
    await house.holds_exactly({"s1"})


async def test_an_envelope_of_a_newer_release_is_kept_among_the_dead_letters(house: House) -> None:
    data = msgspec.msgpack.encode({"v": 3, "something": "new", "request_id": "r-9"})
    async with Redis.from_url(house.redis_url) as redis:
        await queue.ensure_groups(redis, SHARDS)
        await redis.xadd(queue.key_of(0), {queue.FIELD: data})
        async with working(house):
            await house.has_counted("assay_worker_dead_letters_total")
            await house.store(a_score(id="after"))

        [(_, letter)] = await redis.xrange(STREAM)
    assert letter[queue.FIELD] == data
    [buried] = house.told("entry_buried")
    assert (buried["reason"], buried["request_id"]) == ("envelope version 3, this release reads 1 and 2", "r-9")
    await house.holds_exactly({"after"})


async def test_a_worker_that_waits_for_postgres_at_its_start_can_be_stopped(house: House) -> None:
    house.postgres.stop()
    worker = Service("worker", house.database_url, house.redis_url).start(wait=False)
    try:
        await wait_until(lambda: worker.has_logged("postgres_awaited"))
        worker.send_signal(signal.SIGTERM)

        assert await wait_until(lambda: worker.exit_code() is not None, patience_seconds=10)
    finally:
        worker.__exit__()


async def _queue_is_empty(house: House) -> bool:
    async with Redis.from_url(house.redis_url) as redis:
        _, found = await queue.states(redis, SHARDS)
    return all(state.entries == 0 for state in found)
