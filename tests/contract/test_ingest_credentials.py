"""Who may send scores: 401 without a good key, 403 without the scope."""

from datetime import timedelta

import pytest

from shared.clock import utc_now
from shared.key_directory import directory, mark_whole, publish, reconcile
from shared.keys import Scope, hash_of, new_key
from tests.builders import a_score
from tests.contract.intake import Intake, a_grant, a_key, open_intake
from tests.contract.problems import assert_problem
from tests.waiting import wait_until

BATCH = {"scores": [a_score()]}


async def status_of(intake: Intake, **headers: str) -> int:
    said = {name.replace("_", "-"): text for name, text in headers.items()}
    return (await intake.client.post("/v1/scores", json=BATCH, headers=said)).status_code


async def test_a_key_is_given_as_bearer_or_as_x_api_key(intake: Intake) -> None:
    assert await status_of(intake, authorization=f"Bearer {intake.key}") == 202
    assert await status_of(intake, authorization=f"bearer {intake.key}") == 202
    assert await status_of(intake, x_api_key=intake.key) == 202


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "not_authenticated"), ({"authorization": ""}, "not_authenticated"),
        ({"authorization": "Bearer"}, "not_authenticated"), ({"authorization": "Bearer  "}, "not_authenticated"),
        ({"authorization": "Basic dTpw"}, "not_authenticated"), ({"authorization": "assay_x"}, "not_authenticated"),
        ({"x-api-key": ""}, "not_authenticated"), ({"x-api-key": "assay_unknown"}, "unknown_key"),
        ({"authorization": "Bearer assay_unknown"}, "unknown_key"), ({"x-api-key": "k" * 5000}, "unknown_key"),
    ],
    ids=str,
)  # fmt: skip
async def test_without_a_good_key_there_is_a_401(intake: Intake, headers: dict[str, str], code: str) -> None:
    answer = await intake.client.post("/v1/scores", json=BATCH, headers=headers)

    assert_problem(answer, 401, code)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_of_any_bytes_is_unknown_and_no_accident(intake: Intake) -> None:
    answer = await intake.client.post("/v1/scores", json=BATCH, headers=[(b"x-api-key", b"\xff\xfe\x80")])

    assert_problem(answer, 401, "unknown_key")


async def test_an_expired_key_is_a_401(intake: Intake) -> None:
    key = await a_key(intake.redis, expires_at=utc_now() - timedelta(seconds=1))

    assert_problem(await intake.client.post("/v1/scores", json=BATCH, headers={"x-api-key": key}), 401, "expired_key")


async def test_a_key_that_is_not_yet_expired_is_good(intake: Intake) -> None:
    key = await a_key(intake.redis, expires_at=utc_now() + timedelta(days=1))

    assert await status_of(intake, x_api_key=key) == 202


@pytest.mark.parametrize("scope", [Scope.SCORES_READ, Scope.SCORES_DELETE, Scope.CONFIGS_WRITE])
async def test_a_key_without_the_scope_is_a_403(intake: Intake, scope: Scope) -> None:
    key = await a_key(intake.redis, scopes=[scope])

    assert_problem(await intake.client.post("/v1/scores", json=BATCH, headers={"x-api-key": key}), 403, "missing_scope")


@pytest.mark.parametrize("scope", [Scope.SCORES_WRITE, Scope.ADMIN])
async def test_a_key_with_the_scope_or_an_admins_is_good(intake: Intake, scope: Scope) -> None:
    key = await a_key(intake.redis, scopes=[scope])

    assert await status_of(intake, x_api_key=key) == 202


async def test_a_revoked_key_stops(redis_url: str) -> None:
    async with open_intake(redis_url, key_cache_seconds=0.0) as intake:
        assert (await intake.send(a_score())).status_code == 202

        await reconcile(intake.redis, await directory(intake.redis), {})

        assert_problem(await intake.send(a_score()), 401, "unknown_key")


async def test_a_known_key_goes_on_across_a_redis_that_lost_its_memory(redis_url: str) -> None:
    async with open_intake(redis_url, key_cache_seconds=0.0) as intake:
        assert (await intake.send(a_score())).status_code == 202

        await intake.redis.flushall()

        assert (await intake.send(a_score())).status_code == 202


async def test_a_known_key_that_was_revoked_meanwhile_stops_once_the_directory_is_whole_again(redis_url: str) -> None:
    async with open_intake(redis_url, key_cache_seconds=0.0) as intake:
        await intake.send(a_score())
        await intake.redis.flushall()
        assert (await intake.send(a_score())).status_code == 202

        await mark_whole(intake.redis)

        assert_problem(await intake.send(a_score()), 401, "unknown_key")


async def test_a_key_that_was_asked_for_too_early_is_known_soon_after_it_is_published(intake: Intake) -> None:
    key = new_key()
    assert await status_of(intake, x_api_key=key) == 401

    await publish(intake.redis, hash_of(key), a_grant())

    async def is_known() -> bool:
        return await status_of(intake, x_api_key=key) == 202

    assert await wait_until(is_known)


async def test_the_body_of_a_stranger_is_not_judged(intake: Intake) -> None:
    answer = await intake.client.post("/v1/scores", content=b"nonsense")

    assert_problem(answer, 401)
