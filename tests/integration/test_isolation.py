"""A key sees its own project and nothing of another: every endpoint is tried with the other's ids."""

from typing import Any

import pytest

from services.api.app import ENDPOINTS
from shared.http.endpoint import Endpoint
from shared.keys import Scope
from tests.builders import a_numeric_config, a_score
from tests.stack import Project, Stack, make_project

SECRET = "nobody-else-may-see-this"


async def fill(stack: Stack) -> dict[str, str]:
    """Something of everything in the project of the stack; the ids by the name of the path parameter."""
    config = (await stack.post("/v1/score-configs", a_numeric_config(description=SECRET))).json()
    receipt = await stack.store(
        a_score(id="s1", trace_id="t1", span_id="p1", comment=SECRET, metadata={"key": SECRET}),
        a_score(id="bad", value=9, comment=SECRET),
    )
    job = (await stack.post("/v1/scores/delete", {"ids": ["unknown"]})).json()
    return {
        "score": "s1",
        "rejected": f"{receipt['batch_id']}.1",
        "batch_id": receipt["batch_id"],
        "config": config["id"],
        "job": job["id"],
        "trace_id": "t1",
        "span_id": "p1",
    }


def path_of(endpoint: Endpoint, ids: dict[str, str]) -> str:
    noun = {"Scores": "score", "Rejected scores": "rejected", "Score configs": "config", "Jobs": "job"}
    path = endpoint.path.replace("{id:path}", "{id}").replace("{id}", ids.get(noun.get(endpoint.tag, ""), "x"))
    for name in ("trace_id", "span_id", "batch_id"):
        path = path.replace(f"{{{name}:path}}", ids[name]).replace(f"{{{name}}}", ids[name])
    return path


BODIES: dict[str, Any] = {
    "/v1/traces/scores": {"trace_ids": ["t1"]},
    "/v1/scores/delete": {"ids": ["s1"], "dry_run": True},
    "/v1/score-configs": {"name": "own", "data_type": "BOOLEAN"},
}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
async def test_another_project_s_key_gets_nothing_of_it(stack: Stack, endpoint: Endpoint) -> None:
    ids = await fill(stack)
    other = await make_project(stack.database_url, stack.redis_url, "other")

    answer = await stack.api.request(
        endpoint.method,
        path_of(endpoint, ids),
        headers=other.headers,
        params={"name": "relevance"} if endpoint.tag == "Statistics" else {},
        json=BODIES.get(endpoint.path, {}) if endpoint.body is not None else None,
    )

    has_id_of_its_own = "{id" in endpoint.path or "{batch_id" in endpoint.path
    assert answer.status_code == 404 if has_id_of_its_own else answer.status_code < 300, answer.text
    assert SECRET not in answer.text
    await assert_untouched(stack, stack.project)


async def assert_untouched(stack: Stack, project: Project) -> None:
    assert [item["id"] for item in await stack.items("/v1/scores")] == ["s1"]
    assert len(await stack.items("/v1/rejected-scores")) == 1
    [config] = await stack.items("/v1/score-configs")
    assert (config["version"], config["is_archived"]) == (1, False)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
async def test_an_endpoint_wants_a_key_with_its_scope(stack: Stack, endpoint: Endpoint) -> None:
    scopes = [scope for scope in Scope if scope not in (endpoint.scope, Scope.ADMIN)]
    lacking = await make_project(stack.database_url, stack.redis_url, "lacking", scopes)
    path = path_of(
        endpoint, dict.fromkeys(("score", "rejected", "batch_id", "config", "job", "trace_id", "span_id"), "x")
    )

    without = await stack.api.request(endpoint.method, path)
    lacks = await stack.api.request(endpoint.method, path, headers=lacking.headers)

    assert (without.status_code, without.json()["code"]) == (401, "not_authenticated")
    assert (lacks.status_code, lacks.json()["code"]) == (403, "missing_scope")


async def test_a_project_can_use_the_ids_of_another_for_itself(stack: Stack) -> None:
    other = await make_project(stack.database_url, stack.redis_url, "other")
    await stack.store(a_score(id="same", value=0.25))

    receipt = await stack.store(a_score(id="same", value=0.75), project=other)

    assert receipt["stored"] == 1
    assert (await stack.read("/v1/scores/same")).json()["value"] == 0.25
    assert (await stack.read("/v1/scores/same", project=other)).json()["value"] == 0.75
