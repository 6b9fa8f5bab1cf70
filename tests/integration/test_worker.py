"""What the worker promises of the queue and of Postgres, on the real ones."""

import time
from datetime import timedelta
from typing import Any

import asyncpg
from redis.asyncio import Redis

from services.worker.config_cache import ConfigCache
from services.worker.jobs.keys import reconcile_keys
from services.worker.jobs.tidy_consumers import tidy_consumers
from services.worker.jobs.verify_rollups import verify_rollups
from services.worker.metrics import WorkerMetrics
from services.worker.persist import persist
from shared.dead_letters import STREAM
from shared.key_directory import DIRECTORY
from shared.postgres import open_pool
from shared.queue import GROUP, ensure_groups, key_of, states, stream_of, streams_of
from tests.builders import a_numeric_config, a_score
from tests.stack import Project, Stack, make_project, open_stack, running_worker
from tests.unit.making import NOW, a_batch
from tests.waiting import wait_until


async def queue_is_empty(redis_url: str) -> bool:
    redis = Redis.from_url(redis_url)
    _, streams = await states(redis, 8)
    await redis.aclose()
    return all(stream.entries == 0 for stream in streams)


async def test_a_score_sent_twice_is_stored_once(stack: Stack) -> None:
    first = await stack.store(a_score(id="s1", value=0.5))
    second = await stack.store(a_score(id="s1", value=0.5))

    assert (first["stored"], second["stored"], second["replaced"]) == (1, 0, 1)
    [aggregate] = await stack.items("/v1/scores/aggregate")
    assert aggregate["count"] == 1


async def test_the_latest_received_wins_whatever_changed(stack: Stack) -> None:
    await stack.store(a_score(id="s1", name="relevance", value=0.1, timestamp="2025-01-01T00:00:00Z"))
    before = (await stack.read("/v1/scores/s1")).json()

    await stack.store(a_score(id="s1", name="safety", value="safe", session_id="c1", timestamp="2025-02-02T00:00:00Z"))

    [score] = await stack.items("/v1/scores")
    assert (score["name"], score["value"], score["session_id"], score["trace_id"]) == ("safety", "safe", "c1", None)
    assert score["created_at"] == before["created_at"]
    assert score["updated_at"] > before["updated_at"]
    [aggregate] = await stack.items("/v1/scores/aggregate")
    assert (aggregate["name"], aggregate["count"]) == ("safety", 1)


async def test_the_last_of_a_batch_wins(stack: Stack) -> None:
    receipt = await stack.store(*(a_score(id="s1", value=n) for n in range(5)))

    assert (receipt["stored"], receipt["replaced"]) == (1, 4)
    assert (await stack.read("/v1/scores/s1")).json()["value"] == 4


async def test_an_entry_delivered_again_is_counted_once(database_url: str, redis_url: str) -> None:
    """As after a worker died between commit and acknowledgement."""
    async with open_stack(database_url, redis_url, workers=0) as stack:
        redis = Redis.from_url(redis_url)
        await ensure_groups(redis, 8)
        answer = await stack.send(a_score(id="s1"), a_score(value=0.25))
        batch_id = answer.json()["batch_id"]
        stream, entry_id = int(batch_id.rsplit("-", 1)[1]), batch_id.rsplit("-", 1)[0]
        [(_, fields)] = await redis.xrange(key_of(stream))
        async with running_worker(database_url, redis_url):
            first = await stack.receipt(batch_id)
            await wait_until(lambda: queue_is_empty(redis_url))
        await redis.delete(key_of(stream))
        await redis.xadd(key_of(stream), fields, id=entry_id)

        async with running_worker(database_url, redis_url):
            await wait_until(lambda: queue_is_empty(redis_url))

        assert await stack.receipt(batch_id) == first
        assert [row["count"] for row in await stack.fetch("SELECT count(*) FROM scores")] == [2]
        await redis.aclose()


async def test_what_a_dead_worker_had_in_hand_is_taken_over(database_url: str, redis_url: str) -> None:
    async with open_stack(database_url, redis_url, workers=0) as stack:
        redis = Redis.from_url(redis_url)
        await ensure_groups(redis, 8)
        answer = await stack.send(a_score(id="s1"))
        given = await redis.xreadgroup(GROUP, "dead", {key_of(stream): ">" for stream in streams_of(8)})
        assert len(given) == 1

        async with running_worker(database_url, redis_url):
            receipt = await stack.receipt(answer.json()["batch_id"])

        assert receipt["stored"] == 1
        await redis.aclose()


async def test_an_unreadable_entry_goes_to_the_dead_letters_and_the_rest_goes_on(stack: Stack) -> None:
    redis = Redis.from_url(stack.redis_url)
    await redis.xadd(key_of(3), {b"e": b"not an envelope"})

    receipt = await stack.store(a_score(id="s1"))

    assert receipt["stored"] == 1
    [(_, letter)] = await wait_until(lambda: redis.xrange(STREAM))
    assert letter[b"e"] == b"not an envelope"
    await wait_until(lambda: queue_is_empty(stack.redis_url))
    await redis.aclose()


async def test_a_score_that_postgres_refuses_stands_alone(stack: Stack) -> None:
    poison = '{"trace_id":"t1","name":"n","value":1,"id":"poison","metadata":{"poison":true}}'
    good = ",".join(f'{{"trace_id":"t1","name":"n","value":{n},"id":"good-{n}"}}' for n in range(200))

    answer = await stack.ingest.post(
        "/v1/scores", content=f'{{"scores":[{good},{poison}]}}', headers=stack.project.headers
    )
    receipt = await stack.receipt(answer.json()["batch_id"])

    assert (receipt["stored"], receipt["rejected"]) == (200, 1)
    assert [(one["id"], one["code"]) for one in receipt["rejections"]] == [("poison", "storage_error")]
    [aggregate] = await stack.items("/v1/scores/aggregate")
    assert aggregate["count"] == 200


async def test_a_replacement_that_postgres_refuses_leaves_the_old_score(stack: Stack) -> None:
    await stack.store(a_score(id="s1", value=0.25))

    answer = await stack.ingest.post(
        "/v1/scores",
        content='{"scores":[{"trace_id":"t1","name":"relevance","value":1,"id":"s1","metadata":{"poison":true}}]}',
        headers=stack.project.headers,
    )
    receipt = await stack.receipt(answer.json()["batch_id"])

    assert (receipt["replaced"], receipt["rejected"]) == (0, 1)
    assert (await stack.read("/v1/scores/s1")).json()["value"] == 0.25


async def test_a_changed_config_judges_the_next_score(stack: Stack) -> None:
    config = (await stack.post("/v1/score-configs", a_numeric_config(max_value=1))).json()
    before = await stack.store(a_score(value=5))

    await stack.patch(f"/v1/score-configs/{config['id']}", {"max_value": 10})
    after = await stack.store(a_score(id="s2", value=5))

    assert (before["rejected"], after["stored"]) == (1, 1)
    assert (await stack.read("/v1/scores/s2")).json()["config_version"] == 2


async def test_a_config_that_warns_stores_the_score_and_marks_it(stack: Stack) -> None:
    await stack.post("/v1/score-configs", a_numeric_config(enforcement="warn"))

    receipt = await stack.store(a_score(id="s1", value=7))

    assert receipt["stored"] == 1
    assert (await stack.read("/v1/scores/s1")).json()["violation"] == "above_maximum"


async def test_a_rejected_score_is_kept_whole(stack: Stack) -> None:
    await stack.post("/v1/score-configs", a_numeric_config())
    sent: dict[str, Any] = a_score(id="s1", value=7, comment="zu groß", metadata={"b": 1, "a": [1.0, None]})

    await stack.store(sent)

    [rejected] = await stack.items("/v1/rejected-scores")
    assert rejected["original"] == sent
    assert (rejected["code"], rejected["pointer"], rejected["config_version"]) == ("above_maximum", "/value", 1)


async def test_the_key_directory_is_filled_again_after_redis_lost_its_memory(stack: Stack) -> None:
    redis = Redis.from_url(stack.redis_url)
    await redis.delete(DIRECTORY)
    pool = await open_pool(stack.database_url, size_max=1, statement_timeout_ms=5000, name="test")

    first = await reconcile_keys(pool, redis)
    second = await reconcile_keys(pool, redis)

    assert (first, second) == (1, 0)
    assert (await stack.send(a_score())).status_code == 202
    await pool.close()
    await redis.aclose()


async def test_rollups_of_all_projects_are_verified(stack: Stack) -> None:
    await stack.store(*(a_score(value=n) for n in range(10)))
    pool = await open_pool(stack.database_url, size_max=1, statement_timeout_ms=5000, name="test")

    assert await verify_rollups(pool) == []

    await stack.fetch("DELETE FROM score_rollups WHERE width = 'quarter' RETURNING 1")
    assert len(await verify_rollups(pool)) == 1
    await pool.close()


async def test_a_consumer_with_work_in_hand_is_not_forgotten(stack: Stack) -> None:
    redis = Redis.from_url(stack.redis_url)

    assert await tidy_consumers(redis, 8) == 0
    await redis.aclose()


async def test_work_goes_on_when_redis_came_back_empty(stack: Stack) -> None:
    redis = Redis.from_url(stack.redis_url)
    streams = [key_of(stream) for stream in streams_of(8)]

    await redis.delete(*streams)
    receipt = await stack.store(a_score(id="s1"))

    assert receipt["stored"] == 1
    await redis.aclose()


async def test_two_transactions_with_the_same_new_ids_store_each_once(database_url: str, redis_url: str) -> None:
    async with open_stack(database_url, redis_url, workers=3) as stack:
        answers = [await stack.send(*(a_score(id=f"s{n}", value=n) for n in range(50))) for _ in range(12)]
        receipts = [await stack.receipt(answer.json()["batch_id"]) for answer in answers]

        assert sum(receipt["stored"] for receipt in receipts) == 50
        assert sum(receipt["stored"] + receipt["replaced"] + receipt["unchanged"] for receipt in receipts) == 600
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("SELECT count(*) FROM scores") == 50
        await connection.close()


async def test_two_batches_with_one_id_are_both_stored_and_delivered_again_change_nothing(
    database_url: str, project: Project
) -> None:
    """As two masters of the queue give them, while one takes over from the other."""
    earlier = a_batch(a_score(id="s1"), project_id=project.id)
    later = a_batch(a_score(id="s2"), a_score(id="s3"), project_id=project.id, received_at=NOW + timedelta(seconds=1))
    pool = await open_pool(database_url, size_max=1, statement_timeout_ms=5000, name="test")
    cache = ConfigCache(WorkerMetrics())

    for batch in (earlier, later, later, earlier):
        await persist(pool, cache, [batch])

    assert earlier.batch_id == later.batch_id
    assert [row["id"] for row in await pool.fetch("SELECT id FROM scores ORDER BY id")] == ["s1", "s2", "s3"]
    [receipt] = await pool.fetch("SELECT stored, unchanged FROM batches")
    assert (receipt["stored"], receipt["unchanged"]) == (3, 1)
    assert await verify_rollups(pool) == []
    await pool.close()


async def test_a_score_behind_one_that_postgres_refuses_has_its_turn(stack: Stack) -> None:
    refused = '{"id":"dup","trace_id":"t","name":"n","value":2,"metadata":{"poison":true}}'
    answer = await stack.ingest.post(
        "/v1/scores",
        content=f'{{"scores":[{{"id":"dup","trace_id":"t","name":"n","value":1}},{refused}]}}',
        headers=stack.project.headers,
    )

    receipt = await stack.receipt(answer.json()["batch_id"])

    assert (receipt["stored"], receipt["replaced"], receipt["rejected"]) == (1, 0, 1)
    assert (await stack.read("/v1/scores/dup")).json()["value"] == 1


async def test_a_receipt_can_be_waited_for(stack: Stack) -> None:
    answer = await stack.send(a_score())

    receipt = (await stack.read(f"/v1/batches/{answer.json()['batch_id']}", wait=20)).json()

    assert receipt["status"] == "done"


async def test_a_made_up_or_foreign_batch_is_a_404(stack: Stack) -> None:
    other = await make_project(stack.database_url, stack.redis_url, "other")
    batch_id = (await stack.store(a_score()))["batch_id"]

    answers = [
        await stack.read(f"/v1/batches/{batch_id}", project=other),
        *[await stack.read(f"/v1/batches/{made_up}") for made_up in ("nonsense", "1-0-3", "1-0-999", "9" * 40)],
    ]

    assert [answer.status_code for answer in answers] == [404] * 5


async def test_one_project_s_flood_does_not_hold_up_another_of_its_shard(database_url: str, redis_url: str) -> None:
    """The flood goes to the bulk stream; a worker takes the shard's own stream first."""
    async with open_stack(database_url, redis_url, workers=0) as stack:
        other = await _project_of_the_same_shard(stack)
        flood = [await stack.send(*(a_score() for _ in range(1000))) for _ in range(100)]
        single = (await stack.send(a_score(id="single"), project=other)).json()["batch_id"]

        async with running_worker(database_url, redis_url):
            receipt = await stack.receipt(single, project=other)
            last = (await stack.read(f"/v1/batches/{flood[-1].json()['batch_id']}")).json()

        assert (receipt["stored"], last["status"]) == (1, "pending")


async def _project_of_the_same_shard(stack: Stack) -> Project:
    for n in range(1000):
        other = await make_project(stack.database_url, stack.redis_url, f"other-{n}")
        if stream_of(other.id, 8) == stream_of(stack.project.id, 8):
            return other
    raise AssertionError("no project in the same shard")


async def test_order_holds_after_redis_s_clock_was_set_back(stack: Stack) -> None:
    redis = Redis.from_url(stack.redis_url)
    own = key_of(stream_of(stack.project.id, 8))
    ahead = f"{int(time.time() * 1000) + 3_600_000}-0"
    await redis.xadd(own, {"e": b"pins the stream an hour ahead"}, id=ahead)

    for n in range(5):
        await stack.store(a_score(id="s1", value=n))

    assert (await stack.read("/v1/scores/s1")).json()["value"] == 4
    await redis.aclose()
