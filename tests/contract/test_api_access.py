"""Every endpoint of the api: no key 401, a key without the scope 403, another project's id 404."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from services.api.app import ENDPOINTS
from services.api.writes.accounts import make_key
from shared.clock import utc_now
from shared.http.endpoint import Endpoint
from shared.keys import Scope
from tests.builders import a_numeric_config, a_score
from tests.contract.problems import assert_problem
from tests.stack import Project, Stack, make_project, running_worker

Label = str


def label_of(endpoint: Endpoint) -> Label:
    return f"{endpoint.method} {endpoint.path}"


def path_of(endpoint: Endpoint, **ids: str) -> str:
    """The endpoint's path with its parameters filled in."""
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: ids.get(found[1], "x"), endpoint.path)


async def statuses(stack: Stack, headers: dict[str, str]) -> dict[Label, tuple[int, str]]:
    """(status, code) that each endpoint answers to someone with these headers."""
    found = {}
    for endpoint in ENDPOINTS:
        answer = await stack.api.request(endpoint.method, path_of(endpoint), headers=headers)
        problem = assert_problem(answer, answer.status_code)
        found[label_of(endpoint)] = (answer.status_code, problem["code"])
    return found


def all_of(status: int, code: str) -> dict[Label, tuple[int, str]]:
    return {label_of(endpoint): (status, code) for endpoint in ENDPOINTS}


async def a_key(stack: Stack, **fields: Any) -> dict[str, str]:
    """Headers with a new key of the stack's project."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        key = await make_key(connection, stack.project.id, "test", **fields)
    finally:
        await connection.close()
    return {"X-API-Key": key.secret}


# Strangers ------------------------------------------------------------------------------------------------------------


async def test_without_a_key_every_endpoint_is_a_401(stack: Stack) -> None:
    assert await statuses(stack, {}) == all_of(401, "not_authenticated")


@pytest.mark.parametrize("headers", [{"Authorization": "Basic dTpw"}, {"Authorization": "Bearer "}])
async def test_another_scheme_or_no_key_is_a_401(stack: Stack, headers: dict[str, str]) -> None:
    assert await statuses(stack, headers) == all_of(401, "not_authenticated")


async def test_with_an_unknown_key_every_endpoint_is_a_401(stack: Stack) -> None:
    assert await statuses(stack, {"Authorization": "Bearer assay_unknown"}) == all_of(401, "unknown_key")


async def test_with_an_expired_key_every_endpoint_is_a_401(stack: Stack) -> None:
    headers = await a_key(stack, scopes=list(Scope), expires_at=utc_now() - timedelta(seconds=1))

    assert await statuses(stack, headers) == all_of(401, "expired_key")


async def test_with_a_revoked_key_every_endpoint_is_a_401(stack: Stack) -> None:
    headers = await a_key(stack, scopes=list(Scope))
    await stack.fetch("UPDATE api_keys SET revoked_at = now()")

    assert await statuses(stack, headers) == all_of(401, "unknown_key")


# Scopes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.ADMIN])
async def test_a_key_opens_the_endpoints_of_its_scope_and_no_others(stack: Stack, scope: Scope) -> None:
    headers = await a_key(stack, scopes=[scope])

    for endpoint in ENDPOINTS:
        answer = await stack.api.request(endpoint.method, path_of(endpoint), headers=headers)
        assert (answer.status_code == 403) == (endpoint.scope is not scope), label_of(endpoint)
        if answer.status_code == 403:
            assert_problem(answer, 403, "missing_scope")


async def test_an_admins_key_opens_every_endpoint(stack: Stack) -> None:
    headers = await a_key(stack, scopes=[Scope.ADMIN])

    for endpoint in ENDPOINTS:
        answer = await stack.api.request(endpoint.method, path_of(endpoint), headers=headers)
        assert answer.status_code not in (401, 403), label_of(endpoint)
        assert answer.status_code < 500, label_of(endpoint)


# Another project ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def working(stack: Stack) -> AsyncIterator[Stack]:
    """The stack with a worker for background jobs beside it."""
    async with running_worker(stack.database_url, stack.redis_url, worker_roles="jobs"):
        yield stack


async def ids_of_a_project_with_everything(stack: Stack) -> dict[str, str]:
    """By the noun of the path: a config, a batch, scores stored and rejected, a job."""
    config = (await stack.post("/v1/score-configs", a_numeric_config())).json()
    receipt = await stack.store(a_score(id="good"), a_score(id="bad", value=7))
    rejected = (await stack.items("/v1/rejected-scores"))[0]
    job = (await stack.post("/v1/scores/delete", {"ids": ["nothing"]})).json()
    return {
        "scores": "good", "score-configs": config["id"], "batches": receipt["batch_id"], "jobs": job["id"],
        "rejected-scores": rejected["id"],
    }  # fmt: skip


async def asked_by(stack: Stack, stranger: Project, endpoint: Endpoint, ids: dict[str, str]) -> httpx.Response:
    noun = endpoint.path.split("/")[2]
    path = path_of(endpoint, id=ids.get(noun, "x"), batch_id=ids["batches"])
    takes_body = endpoint.body is not None and endpoint.body_required
    return await stack.api.request(endpoint.method, path, headers=stranger.headers, json={} if takes_body else None)


async def test_another_projects_id_is_a_404_everywhere(working: Stack) -> None:
    stranger = await make_project(working.database_url, working.redis_url, slug="stranger")
    ids = await ids_of_a_project_with_everything(working)
    with_id = [endpoint for endpoint in ENDPOINTS if "{id" in endpoint.path or "{batch_id" in endpoint.path]

    found = {label_of(one): (await asked_by(working, stranger, one, ids)).status_code for one in with_id}

    assert found == {label_of(endpoint): 404 for endpoint in with_id}
    assert (await working.read("/v1/scores/good")).status_code == 200


async def test_another_projects_scores_are_in_no_list_and_no_statistic(working: Stack) -> None:
    stranger = await make_project(working.database_url, working.redis_url, slug="stranger")
    await ids_of_a_project_with_everything(working)

    for path in [
        "scores", "scores/aggregate", "traces/t1/scores", "traces/t1/spans/s1/scores", "rejected-scores",
        "rejected-scores/counts", "score-configs", "jobs",
    ]:  # fmt: skip
        answer = await working.read(f"/v1/{path}", project=stranger)
        assert answer.json()["items"] == [], path


async def test_another_projects_scores_can_not_be_counted_for_a_delete_or_found_by_their_traces(stack: Stack) -> None:
    stranger = await make_project(stack.database_url, stack.redis_url, slug="stranger")
    await stack.store(a_score(id="good", trace_id="t1"))

    dry_run = await stack.post("/v1/scores/delete", {"ids": ["good"], "dry_run": True}, project=stranger)
    traces = await stack.post("/v1/traces/scores", {"trace_ids": ["t1"]}, project=stranger)

    assert dry_run.json()["count"] == 0
    assert [trace["items"] for trace in traces.json()["items"]] == [[]]
