"""The life of an API key: made, shown once, listed, used, rotated, revoked."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.worker.jobs.keys import reconcile_keys, record_key_use
from shared.clock import utc_now
from shared.key_use import TELL_SECONDS
from shared.postgres import open_pool
from tests.builders import a_score
from tests.contract.problems import assert_problem
from tests.logins import WORKER_LOGIN, as_login
from tests.stack import Project, Stack
from tests.waiting import wait_until

ALL = ["scores:write", "scores:read"]


async def make(stack: Stack, **body: Any) -> httpx.Response:
    return await stack.post("/v1/api-keys", {"name": "sender", "scopes": ALL, **body})


async def a_key(stack: Stack, **body: Any) -> tuple[str, Project]:
    """Its id, and the project as its holder sees it."""
    made = (await make(stack, **body)).json()
    return made["api_key"]["id"], Project(stack.project.id, made["key"], stack.project.workspace_id)


async def listed(stack: Stack, key_id: str) -> dict[str, Any]:
    return next(key for key in await stack.items("/v1/api-keys") if key["id"] == key_id)


async def is_let_in(stack: Stack, project: Project) -> set[int]:
    """By ingest and by the api: their statuses."""
    return {
        (await stack.send(a_score(), project=project)).status_code,
        (await stack.read("/v1/scores", project=project)).status_code,
    }


async def stops(stack: Stack, project: Project) -> None:
    async def is_out() -> bool:
        return await is_let_in(stack, project) == {401}

    await wait_until(is_out, what="a 401 of both services")


async def test_a_key_is_shown_once_and_good_at_once(stack: Stack) -> None:
    answer = await make(stack)
    shown = answer.json()

    assert answer.status_code == 201
    assert await is_let_in(stack, Project(stack.project.id, shown["key"], stack.project.workspace_id)) == {202, 200}
    assert shown["key"].startswith(shown["api_key"]["prefix"])
    assert shown["key"] not in (await stack.read("/v1/api-keys")).text
    assert await listed(stack, shown["api_key"]["id"]) == shown["api_key"] | {"last_used_at": None}


@pytest.mark.parametrize(
    "body",
    [{"scopes": []}, {"scopes": ["root"]}, {"name": ""}, {"expires_at": "2020-01-01T00:00:00Z"}, {"extra": 1},
     {"expires_at": "2099-01-01T00:00:00"}, {"expires_at": "9999-12-31T23:59:59-12:00"},
     {"requests_per_minute": 0}, {"scores_per_minute": -1}],
    ids=str,
)  # fmt: skip
async def test_a_key_that_makes_no_sense_is_not_made(stack: Stack, body: dict[str, Any]) -> None:
    assert (await make(stack, **body)).status_code == 422
    assert len(await stack.items("/v1/api-keys")) == 1


async def test_a_revoked_key_stops_everywhere_and_stays_in_the_list(stack: Stack) -> None:
    key_id, project = await a_key(stack)
    assert await is_let_in(stack, project) == {202, 200}

    revoked = await stack.api.delete(f"/v1/api-keys/{key_id}", headers=stack.project.headers)
    again = await stack.api.delete(f"/v1/api-keys/{key_id}", headers=stack.project.headers)

    assert (revoked.status_code, again.status_code) == (204, 204)
    await stops(stack, project)
    assert (await listed(stack, key_id))["revoked_at"] is not None


async def test_an_expired_key_stops_everywhere(stack: Stack) -> None:
    key_id, project = await a_key(stack, expires_at=(utc_now() + timedelta(seconds=1)).isoformat())

    await stops(stack, project)
    assert (await listed(stack, key_id))["revoked_at"] is None  # by itself: nobody has revoked it


async def test_a_rotated_key_goes_on_for_the_overlap(stack: Stack) -> None:
    key_id, old = await a_key(stack, name="n", scores_per_minute=1000)

    answer = await stack.post(f"/v1/api-keys/{key_id}/rotate", {"overlap_seconds": 3600})
    new = Project(stack.project.id, answer.json()["key"], stack.project.workspace_id)

    assert answer.status_code == 201
    assert await is_let_in(stack, old) == {202, 200}
    assert await is_let_in(stack, new) == {202, 200}
    fields = ("name", "scopes", "scores_per_minute")
    assert [answer.json()["api_key"][field] for field in fields] == ["n", sorted(ALL), 1000]
    assert (await listed(stack, key_id))["expires_at"] is not None


async def test_a_key_that_is_rotated_without_an_overlap_stops(stack: Stack) -> None:
    key_id, old = await a_key(stack)

    await stack.post(f"/v1/api-keys/{key_id}/rotate", {"overlap_seconds": 0})

    await stops(stack, old)
    assert_problem(await stack.post(f"/v1/api-keys/{key_id}/rotate", {}), 409, "key_over")


async def test_a_key_that_expires_soon_is_not_made_to_last_by_a_rotation(stack: Stack) -> None:
    soon = (utc_now() + timedelta(seconds=60)).isoformat()
    key_id, _ = await a_key(stack, expires_at=soon)

    await stack.post(f"/v1/api-keys/{key_id}/rotate", {"overlap_seconds": 86_400})

    assert (await listed(stack, key_id))["expires_at"][:19] == soon[:19]


async def test_when_a_key_was_last_used_is_known_without_a_write_for_each_request(stack: Stack) -> None:
    key_id, project = await a_key(stack)
    pool = await open_pool(
        as_login(stack.database_url, WORKER_LOGIN), size_max=1, statement_timeout_ms=5000, name="test"
    )
    before = await stack.fetch("SELECT xmin::text AS version FROM api_keys ORDER BY id")
    for _ in range(20):
        await is_let_in(stack, project)
    assert await stack.fetch("SELECT xmin::text AS version FROM api_keys ORDER BY id") == before

    async def is_recorded() -> bool:
        async with stack.redis_client() as redis:
            await record_key_use(pool, redis)
        return (await listed(stack, key_id))["last_used_at"] is not None

    await wait_until(is_recorded, patience_seconds=TELL_SECONDS + 20)
    await pool.close()


# Ingest knows keys without Postgres -----------------------------------------------------------------------------------


async def test_while_the_directory_is_not_whole_nobody_says_of_a_key_that_it_is_unknown(stack: Stack) -> None:
    async with stack.redis_client() as redis:
        await redis.flushall()
    stranger = Project(stack.project.id, "assay_nobody-knows-this", stack.project.workspace_id)

    answer = await stack.send(a_score(), project=stranger)

    assert_problem(answer, 503, "keys_unavailable")
    assert "retry-after" in answer.headers


async def test_the_schedule_makes_the_directory_whole_again(stack: Stack) -> None:
    key_id, project = await a_key(stack)
    await stack.api.delete(f"/v1/api-keys/{key_id}", headers=stack.project.headers)
    pool = await open_pool(
        as_login(stack.database_url, WORKER_LOGIN), size_max=1, statement_timeout_ms=5000, name="test"
    )
    async with stack.redis_client() as redis:
        await redis.flushall()
        wrong = [await reconcile_keys(pool, redis), await reconcile_keys(pool, redis)]
    await pool.close()

    assert wrong == [1, 0]
    assert (await stack.send(a_score())).status_code == 202
    assert (await stack.send(a_score(), project=project)).status_code == 401
