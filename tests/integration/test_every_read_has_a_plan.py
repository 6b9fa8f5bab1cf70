"""Whatever the api asks of PostgreSQL when it is read from goes by an index, on tables that make the planner care.

The statements are not listed here: they are caught while every GET of the api, and what else only reads, is called.
Filters that no index knows go with a window: without one, all of a project's scores are what is asked for.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from services.api.app import ENDPOINTS, open_app
from shared.keys import Scope
from shared.postgres import project_transaction
from tests.builders import a_numeric_config
from tests.conftest import url_of
from tests.logins import API_LOGIN, as_login
from tests.stack import Project, api_settings, client_of, make_project

LARGE = ("scores", "score_rollups", "rejected_scores", "batches")
WEEK = {"from": "2025-05-25T00:00:00Z", "to": "2025-06-01T00:00:00Z"}

_FILL = """
INSERT INTO scores (project_id, id, version, name, data_type, numeric_value, trace_id, span_id, source, author,
    environment, metadata, scored_at, received_at)
SELECT
    CASE WHEN n % 5 = 0 THEN gen_random_uuid() ELSE $1 END, 's' || n, n, 'name' || n % 20, 'NUMERIC', n % 100,
    't' || n / 10, 'p' || n / 5, 'SDK', 'rater' || n % 7, 'default', jsonb_build_object('lang', 'de'),
    '2025-06-01Z'::timestamptz - n * interval '3 minutes', '2025-06-01Z'
FROM generate_series(1, 50000) AS n
"""
_FILL_BATCHES = """
INSERT INTO batches (project_id, batch_id, received_at, stored, replaced, unchanged, rejected)
SELECT CASE WHEN n % 5 = 0 THEN gen_random_uuid() ELSE $1 END, '1-' || n || '-0', now(), 1, 0, 0, 1
FROM generate_series(1, 30000) AS n
"""
_FILL_REJECTED = """
INSERT INTO rejected_scores (project_id, batch_id, index, score_id, name, code, pointer, detail, original, request_id,
    received_at, rejected_at)
SELECT CASE WHEN n % 5 = 0 THEN gen_random_uuid() ELSE $1 END, '1-' || n || '-0', 0, 'r' || n, 'name' || n % 20,
    'above_maximum', '/value', 'detail', '{}', 'r', now(), '2025-06-01Z'::timestamptz - n * interval '3 minutes'
FROM generate_series(1, 30000) AS n
"""

# (method, path of the endpoint) → the calls that stand for it: path, parameters, body.
Call = tuple[str, dict[str, Any], Any]
CALLS: dict[tuple[str, str], list[Call]] = {
    ("GET", "/v1/scores/aggregate"): [
        ("/v1/scores/aggregate", {"name": "name3", **WEEK}, None),
        ("/v1/scores/aggregate", {"name": "name3", "percentiles": "false"}, None),
        ("/v1/scores/aggregate", {"name": "name3", "group_by": "author,metadata.lang", **WEEK}, None),
        ("/v1/scores/aggregate", {"name": "name3", "from": "2025-05-25T00:07:00Z"}, None),
    ],
    ("GET", "/v1/scores/histogram"): [("/v1/scores/histogram", {"name": "name3", **WEEK}, None)],
    ("GET", "/v1/scores/trends"): [
        ("/v1/scores/trends", {"name": "name3", "granularity": "day", **WEEK}, None),
        ("/v1/scores/trends", {"name": "name3", "granularity": "hour", "author": "rater1", **WEEK}, None),
    ],
    ("GET", "/v1/scores"): [
        ("/v1/scores", {}, None),
        ("/v1/scores", {"order": "asc", "author": "rater1", **WEEK}, None),
        ("/v1/scores", {"metadata.lang": "de", "min_value": "50", "value": "7", "source": "SDK", **WEEK}, None),
    ],
    ("GET", "/v1/scores/{id:id}"): [("/v1/scores/s7", {}, None), ("/v1/scores/r7", {}, None)],
    ("GET", "/v1/traces/{trace_id:id}/scores"): [("/v1/traces/t7/scores", {}, None)],
    ("GET", "/v1/traces/{trace_id:id}/spans/{span_id:id}/scores"): [("/v1/traces/t7/spans/p14/scores", {}, None)],
    ("POST", "/v1/traces/scores"): [("/v1/traces/scores", {}, {"trace_ids": ["t7", "t8"]})],
    ("GET", "/v1/batches/{batch_id}"): [("/v1/batches/1-7-0", {}, None)],
    ("GET", "/v1/rejected-scores"): [
        ("/v1/rejected-scores", {}, None),
        ("/v1/rejected-scores", {"code": "above_maximum", **WEEK}, None),
    ],
    ("GET", "/v1/rejected-scores/counts"): [("/v1/rejected-scores/counts", WEEK, None)],
    ("GET", "/v1/rejected-scores/{id}"): [("/v1/rejected-scores/1-7-0.0", {}, None)],
    ("GET", "/v1/score-configs"): [("/v1/score-configs", {}, None)],
    ("GET", "/v1/score-configs/{id}"): [("/v1/score-configs/{config_id}", {}, None)],
    ("POST", "/v1/score-configs/{id}/check"): [("/v1/score-configs/{config_id}/check", {}, {"max_value": 50})],
    ("GET", "/v1/score-templates"): [("/v1/score-templates", {}, None)],
    ("GET", "/v1/jobs"): [("/v1/jobs", {}, None)],
    ("GET", "/v1/jobs/{id}"): [(f"/v1/jobs/{UUID(int=1)}", {}, None)],
    ("GET", "/v1/project"): [("/v1/project", {}, None)],
    ("GET", "/v1/api-keys"): [("/v1/api-keys", {}, None)],
    ("GET", "/v1/audit-log"): [("/v1/audit-log", {}, None)],
}


@pytest.fixture
async def filled(postgres: EmbeddedPostgres, template_database: str, redis_url: str) -> tuple[str, Project]:
    name = f"reads_{uuid4().hex}"
    await _execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template_database}")
    url = url_of(postgres, name)
    project = await make_project(url, redis_url)
    for statement in (_FILL, _FILL_BATCHES, _FILL_REJECTED):
        await _execute(url, statement, project.id)
    await _execute(url, f"VACUUM ANALYZE {', '.join(LARGE)}")
    return url, project


async def _execute(url: str, statement: str, *arguments: Any) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement, *arguments)
    await connection.close()


def test_every_read_is_called() -> None:
    reads = {(one.method, one.path) for one in ENDPOINTS if one.method == "GET" and isinstance(one.needs, Scope)}

    assert reads <= CALLS.keys()


async def test_every_read_goes_by_an_index(
    filled: tuple[str, Project], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, project = filled
    seen: dict[str, tuple[Any, ...]] = {}
    for name in ("fetch", "fetchrow", "fetchval"):
        monkeypatch.setattr(asyncpg.Connection, name, _catching(getattr(asyncpg.Connection, name), seen))

    async with open_app(api_settings(url, redis_url)) as app, client_of(app) as client:
        made = await client.post("/v1/score-configs", json=a_numeric_config(name="name3"), headers=project.headers)
        seen.clear()
        for (method, _), calls in CALLS.items():
            for path, params, body in calls:
                path = path.replace("{config_id}", made.json()["id"])
                answer = await client.request(method, path, params=params, json=body, headers=project.headers)
                assert answer.status_code in (200, 404), (path, answer.text)
    monkeypatch.undo()

    custom = {"plan_cache_mode": "force_custom_plan"}
    connection = await asyncpg.connect(as_login(url, API_LOGIN), server_settings=custom)
    reading = {sql: arguments for sql, arguments in seen.items() if any(f" {table}" in sql for table in LARGE)}
    whole = []
    for sql, arguments in reading.items():
        async with project_transaction(connection, project.id, readonly=False):
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *arguments))
        whole += [f"{sql}\n{plan}" for table in LARGE if f"Seq Scan on {table}" in plan]
    await connection.close()
    assert whole == []
    assert len(reading) > 15


def _catching(call: Callable[..., Any], seen: dict[str, tuple[Any, ...]]) -> Callable[..., Any]:
    async def caught(self: asyncpg.Connection, query: str, *arguments: Any, **options: Any) -> Any:
        seen[query] = arguments
        await asyncio.sleep(0)
        return await call(self, query, *arguments, **options)

    return caught
