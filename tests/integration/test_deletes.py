"""A delete is final, also against copies that were received before it and are still in the queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from services.worker.jobs.housekeeping import Retained, apply_retention, forget_tombstones
from services.worker.jobs.verify_rollups import verify_rollups
from shared.postgres import Pool, open_pool
from shared.queue import ensure_groups
from tests.builders import a_numeric_config, a_score
from tests.stack import Stack, make_project, open_stack, running_worker
from tests.waiting import wait_until

HOLDS_UP_ANOTHER = "SELECT true FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"


@asynccontextmanager
async def pool_of(stack: Stack) -> AsyncIterator[Pool]:
    pool = await open_pool(stack.database_url, size_max=2, statement_timeout_ms=5000, name="test")
    try:
        yield pool
    finally:
        await pool.close()


async def rollups_differ(stack: Stack) -> bool:
    async with pool_of(stack) as pool:
        return bool(await verify_rollups(pool))


async def delete(stack: Stack, score_id: str) -> int:
    answer = await stack.api.delete(f"/v1/scores/{score_id}", headers=stack.project.headers)
    return answer.status_code


async def ended(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await stack.read(f"/v1/jobs/{job['id']}", wait=20)).json()
    assert found["state"] == "done", found
    return found


async def test_a_deleted_score_is_gone_and_deleting_it_again_is_a_404(stack: Stack) -> None:
    await stack.store(a_score(id="s1"), a_score(id="s2"))

    assert (await delete(stack, "s1"), await delete(stack, "s1")) == (204, 404)

    assert [item["id"] for item in await stack.items("/v1/scores")] == ["s2"]
    [aggregate] = await stack.items("/v1/scores/aggregate")
    assert aggregate["count"] == 1


async def test_an_id_with_a_slash_can_be_read_and_deleted(stack: Stack) -> None:
    await stack.store(a_score(id="a/b c"))

    assert (await stack.read("/v1/scores/a/b c")).status_code == 200
    assert await delete(stack, "a/b c") == 204


@pytest.mark.parametrize("stored_before", [True, False])
async def test_a_copy_that_was_still_queued_does_not_come_back(
    database_url: str, redis_url: str, stored_before: bool
) -> None:
    async with open_stack(database_url, redis_url, workers=0) as stack:
        redis = Redis.from_url(redis_url)
        await ensure_groups(redis, 8)
        if stored_before:
            async with running_worker(database_url, redis_url):
                await stack.store(a_score(id="s1"))
        queued = (await stack.send(a_score(id="s1", value=0.75))).json()["batch_id"]

        assert await delete(stack, "s1") == (204 if stored_before else 404)
        async with running_worker(database_url, redis_url):
            receipt = await stack.receipt(queued)

        assert (receipt["stored"], receipt["replaced"], receipt["unchanged"]) == (0, 0, 1)
        assert await stack.items("/v1/scores") == []
        await redis.aclose()


async def test_a_score_sent_after_the_delete_is_stored(stack: Stack) -> None:
    await stack.store(a_score(id="s1", value=0.25))
    await delete(stack, "s1")

    receipt = await stack.store(a_score(id="s1", value=0.75))

    assert receipt["stored"] == 1
    assert (await stack.read("/v1/scores/s1")).json()["value"] == 0.75


async def test_a_dry_run_counts_and_deletes_nothing(stack: Stack) -> None:
    await stack.store(*(a_score(id=f"s{n}", name="a" if n < 3 else "b") for n in range(5)))

    answer = await stack.post("/v1/scores/delete", {"filter": {"name": ["a"]}, "dry_run": True})

    assert answer.json() == {"count": 3, "dry_run": True}
    assert len(await stack.items("/v1/scores")) == 5


async def test_scores_are_deleted_by_filter_as_a_job(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    for start in range(0, 2500, 500):
        await stack.store(*(a_score(id=f"s{n}", name=f"n{n % 2}", value=n) for n in range(start, start + 500)))

    job = (await stack.post("/v1/scores/delete", {"filter": {"name": ["n1"], "min_value": 100}})).json()
    found = await ended(stack, job)

    assert (found["total"], found["counts"]) == (1200, {"deleted": 1200})
    counts = {item["name"]: item["count"] for item in await stack.items("/v1/scores/aggregate")}
    assert counts == {"n0": 1250, "n1": 50}
    assert not await rollups_differ(stack)


async def test_scores_are_deleted_by_ids_as_a_job(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    await stack.store(*(a_score(id=f"s{n}") for n in range(10)))

    job = (await stack.post("/v1/scores/delete", {"ids": ["s1", "s2", "nowhere"]})).json()

    assert (await ended(stack, job))["counts"] == {"deleted": 2}
    assert len(await stack.items("/v1/scores")) == 8


@pytest.mark.parametrize("body", [{}, {"filter": {}}, {"ids": ["a"], "filter": {"name": ["a"]}}, {"ids": []}])
async def test_a_delete_that_names_nothing_or_everything_is_refused(stack: Stack, body: dict[str, Any]) -> None:
    assert (await stack.post("/v1/scores/delete", body)).status_code == 422


async def test_a_job_whose_request_got_lost_is_taken_up_by_the_schedule(stack: Stack) -> None:
    await stack.store(a_score(id="s1"))
    job = (await stack.post("/v1/scores/delete", {"ids": ["s1"]})).json()
    redis = Redis.from_url(stack.redis_url)
    await redis.delete("assay:jobs")
    await stack.fetch("UPDATE jobs SET updated_at = now() - interval '1 hour' RETURNING 1")

    async with running_worker(stack.database_url, stack.redis_url, worker_roles="jobs"):
        await wait_until(lambda: ended(stack, job))

    assert await stack.items("/v1/scores") == []
    await redis.aclose()


async def test_a_job_whose_statements_take_too_long_fails_and_says_so(stack: Stack) -> None:
    await stack.store(a_score(id="s1"))
    await stack.fetch(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5); RETURN OLD; END'"
    )
    await stack.fetch("CREATE TRIGGER dawdle BEFORE DELETE ON scores FOR EACH ROW EXECUTE FUNCTION dawdle()")
    job = (await stack.post("/v1/scores/delete", {"ids": ["s1"]})).json()

    async with running_worker(stack.database_url, stack.redis_url, worker_roles="jobs", job_statement_timeout_ms=200):
        found = (await stack.read(f"/v1/jobs/{job['id']}", wait=20)).json()

    assert (found["state"], found["detail"].partition(":")[0]) == ("failed", "QueryCanceledError")
    assert [item["id"] for item in await stack.items("/v1/scores")] == ["s1"]


async def test_retention_deletes_what_is_older_and_nothing_else(stack: Stack) -> None:
    await stack.store(a_score(id="old", timestamp="2020-01-01T00:00:00Z"), a_score(id="new"))
    await stack.patch("/v1/project", {"retention_days": 30})

    async with pool_of(stack) as pool:
        assert await apply_retention(pool) == Retained(scores=1)
        assert await apply_retention(pool) == Retained()

    assert [item["id"] for item in await stack.items("/v1/scores")] == ["new"]
    assert not await rollups_differ(stack)


async def test_retention_forgets_rejected_scores_too(stack: Stack) -> None:
    await stack.post("/v1/score-configs", a_numeric_config(max_value=1))
    await stack.store(a_score(id="old", value=7))
    await stack.fetch("UPDATE rejected_scores SET rejected_at = now() - interval '31 days' RETURNING 1")
    await stack.store(a_score(id="new", value=7))
    await stack.patch("/v1/project", {"retention_days": 30})

    async with pool_of(stack) as pool:
        assert await apply_retention(pool) == Retained(rejected_scores=1)

    assert [item["score_id"] for item in await stack.items("/v1/rejected-scores")] == ["new"]


async def test_retention_leaves_what_is_rejected_again_while_it_waits(stack: Stack) -> None:
    await stack.post("/v1/score-configs", a_numeric_config(max_value=1))
    await stack.store(a_score(id="again", value=7), a_score(id="old", value=7))
    await stack.fetch("UPDATE rejected_scores SET rejected_at = now() - interval '31 days' RETURNING 1")
    await stack.patch("/v1/project", {"retention_days": 30})

    async with pool_of(stack) as pool, stack.connection() as replay:
        async with replay.transaction():
            await replay.execute("UPDATE rejected_scores SET rejected_at = now() WHERE score_id = 'again'")
            retention = asyncio.create_task(apply_retention(pool))
            await wait_until(lambda: replay.fetchval(HOLDS_UP_ANOTHER))
        assert await retention == Retained(rejected_scores=1)

    assert [item["score_id"] for item in await stack.items("/v1/rejected-scores")] == ["again"]


async def test_retention_that_fails_in_one_project_goes_on_with_the_others(stack: Stack) -> None:
    stranger = await make_project(stack.database_url, stack.redis_url, "stranger")
    for project in (stack.project, stranger):
        await stack.store(a_score(id="old", timestamp="2020-01-01T00:00:00Z"), project=project)
        await stack.fetch("UPDATE projects SET retention_days = 30 WHERE id = $1 RETURNING 1", project.id)
    first, second = sorted((stack.project, stranger), key=lambda project: project.id)
    await stack.fetch("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'")
    await stack.fetch(
        "CREATE TRIGGER refuse BEFORE DELETE ON scores "
        f"FOR EACH ROW WHEN (OLD.project_id = '{first.id}') EXECUTE FUNCTION refuse()"
    )

    async with pool_of(stack) as pool:
        assert await apply_retention(pool) == Retained(scores=1, failed_projects=1)

    assert [(await stack.items("/v1/scores", project=one)) == [] for one in (first, second)] == [False, True]


async def test_a_tombstone_lives_as_long_as_the_queue_holds_something_older(database_url: str, redis_url: str) -> None:
    async with open_stack(database_url, redis_url, workers=0) as stack, pool_of(stack) as pool:
        redis = Redis.from_url(redis_url)
        await ensure_groups(redis, 8)
        queued = (await stack.send(a_score(id="s1"))).json()["batch_id"]
        await delete(stack, "s1")
        await stack.fetch("UPDATE score_tombstones SET deleted_at = now() - interval '2 hours' RETURNING 1")

        kept = await forget_tombstones(pool, redis, 8)
        async with running_worker(database_url, redis_url):
            await stack.receipt(queued)
            await stack.store(a_score(id="s2"))
        forgotten = await wait_until(lambda: forget_tombstones(pool, redis, 8))

        assert (kept, forgotten) == (0, 1)
        await redis.aclose()


async def test_a_delete_works_after_redis_came_back_empty(stack: Stack) -> None:
    await stack.store(a_score(id="s1"))
    redis = Redis.from_url(stack.redis_url)
    await redis.flushall()

    assert await delete(stack, "s1") == 204

    assert await stack.items("/v1/scores") == []
    await redis.aclose()


async def test_a_deleted_score_is_not_called_rejected(stack: Stack) -> None:
    await stack.post("/v1/score-configs", {"name": "n", "data_type": "NUMERIC", "min_value": 0, "max_value": 1})
    await stack.store(a_score(id="s1", name="n", value=9))
    await stack.store(a_score(id="s1", name="n", value=1))
    await delete(stack, "s1")

    assert (await stack.read("/v1/scores/s1")).json()["code"] == "not_found"
