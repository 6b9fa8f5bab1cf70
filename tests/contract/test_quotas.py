"""What a key and its project may send in a minute, and how who sends more is told."""

import asyncio
from typing import Any

import httpx

from services.worker.jobs.keys import reconcile_keys
from shared.access import Role
from shared.key_directory import DIRECTORY
from shared.postgres import open_pool
from tests.accounts import a_member
from tests.builders import a_score
from tests.contract.problems import assert_problem
from tests.logins import WORKER_LOGIN, as_login
from tests.stack import Project, Stack
from tests.waiting import wait_until


async def a_key(stack: Stack, **quotas: Any) -> Project:
    made = await stack.post("/v1/api-keys", {"name": "n", "scopes": ["scores:write", "scores:read"], **quotas})
    return Project(stack.project.id, made.json()["key"], stack.project.workspace_id)


def many(count: int) -> list[dict[str, Any]]:
    return [a_score(id=f"s{number}") for number in range(count)]


def assert_over(answer: httpx.Response, name: str) -> None:
    assert_problem(answer, 429, "over_quota")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit"].startswith(f'"{name}";r=0;t=')


async def test_a_key_sends_as_many_requests_as_it_may(stack: Stack) -> None:
    project = await a_key(stack, requests_per_minute=5)

    answers = [await stack.send(a_score(), project=project) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert_over(answers[-1], "key-requests")


async def test_requests_to_both_services_are_counted_together(stack: Stack) -> None:
    project = await a_key(stack, requests_per_minute=4)

    for _ in range(2):
        assert (await stack.send(a_score(), project=project)).status_code == 202
        assert (await stack.read("/v1/scores", project=project)).status_code == 200

    assert_over(await stack.send(a_score(), project=project), "key-requests")
    assert_over(await stack.read("/v1/scores", project=project), "key-requests")


async def test_a_key_sends_as_many_scores_as_it_may_and_a_batch_goes_whole_or_not_at_all(stack: Stack) -> None:
    project = await a_key(stack, scores_per_minute=10)

    answers = [await stack.send(*many(4), project=project) for _ in range(3)]
    rest = await stack.send(*many(2), project=project)

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert_over(await stack.send(a_score(), project=project), "key-scores")
    assert rest.status_code == 202


async def test_a_batch_of_more_than_a_minutes_scores_is_told_that_waiting_is_no_use(stack: Stack) -> None:
    project = await a_key(stack, scores_per_minute=10)

    assert_problem(await stack.send(*many(11), project=project), 413, "batch_over_quota")


async def test_the_headers_say_how_much_is_left(stack: Stack) -> None:
    project = await a_key(stack, requests_per_minute=5, scores_per_minute=100)

    answer = await stack.send(*many(30), project=project)

    assert answer.headers["ratelimit-policy"] == '"key-requests";q=5;w=60, "key-scores";q=100;w=60'
    assert '"key-requests";r=4;t=' in answer.headers["ratelimit"]
    assert '"key-scores";r=70;t=' in answer.headers["ratelimit"]


async def test_who_has_no_quota_is_not_counted(stack: Stack) -> None:
    answer = await stack.send(a_score())

    assert "ratelimit" not in answer.headers
    async with stack.redis_client() as redis:
        assert await redis.keys("assay:quota*") == []


async def test_a_projects_quota_is_shared_by_its_keys_and_set_by_an_admin_of_the_workspace(stack: Stack) -> None:
    admin = await a_member(stack, Role.ADMIN)
    one, other = await a_key(stack), await a_key(stack)
    pool = await open_pool(as_login(stack.database_url, WORKER_LOGIN), size_max=1, statement_timeout_ms=5000, name="t")

    answer = await stack.api.patch(
        f"/v1/workspaces/{admin.workspace_id}/projects/{stack.project.id}",
        json={"scores_per_minute": 20},
        headers=admin.headers,
    )
    async with stack.redis_client() as redis:
        await reconcile_keys(pool, redis)
    await pool.close()
    statuses = [(await stack.send(*many(10), project=key)).status_code for key in (one, other, one)]

    assert answer.json()["scores_per_minute"] == 20
    assert statuses == [202, 202, 429]


async def test_many_at_once_get_no_more_than_the_quota(stack: Stack) -> None:
    project = await a_key(stack, requests_per_minute=20)

    answers = await asyncio.gather(*(stack.send(a_score(), project=project) for _ in range(60)))

    assert sorted(answer.status_code for answer in answers) == [202] * 20 + [429] * 40


async def test_reads_go_on_uncounted_while_redis_can_not_count(stack: Stack) -> None:
    project = await a_key(stack, requests_per_minute=1)
    async with stack.redis_client() as redis:
        await redis.config_set("maxmemory", "1mb")
        try:

            async def is_let_through() -> bool:
                return [(await stack.read("/v1/scores", project=project)).status_code for _ in range(3)] == [200] * 3

            assert await wait_until(is_let_through)
        finally:
            await redis.config_set("maxmemory", "0")
            assert await redis.exists(DIRECTORY)
