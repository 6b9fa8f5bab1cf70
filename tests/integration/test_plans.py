"""Every SELECT of the api finds its rows through the index made for it, on a table that makes the planner care."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from services.api.queries.distributions import percentiles_statement
from services.api.queries.scores import SPAN_STATEMENT, TRACE_STATEMENT, TRACES_STATEMENT, Position, list_statement
from services.api.queries.statistics import rollup_statement, rows_statement
from services.api.windows import Granularity, bucket_bounds
from shared.filters import ScoreFilters
from tests.conftest import url_of

PROJECT = UUID(int=1)
NOW = datetime(2025, 6, 1, tzinfo=UTC)
WEEK_AGO = NOW - timedelta(days=7)
KOLKATA = bucket_bounds(WEEK_AGO, NOW, Granularity.DAY, ZoneInfo("Asia/Kolkata"))
AFTER = Position(1_740_000_000_000_000, "s1")

Statement = Callable[[], tuple[str, list[Any]]]


@pytest.fixture(scope="module")
def filled_url(postgres: EmbeddedPostgres, template_database: str) -> str:
    """40,000 scores of one project and 10,000 of others, analyzed. The database goes with the server."""
    name = f"plans_{uuid4().hex}"
    asyncio.run(_execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template_database}"))
    url = url_of(postgres, name)
    asyncio.run(_execute(url, _FILL))
    asyncio.run(_execute(url, "VACUUM ANALYZE scores, score_rollups"))
    return url


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


_FILL = """
INSERT INTO scores (project_id, id, version, name, data_type, numeric_value, trace_id, span_id, session_id, user_id,
    source, environment, scored_at, received_at)
SELECT
    CASE WHEN n % 5 = 0 THEN gen_random_uuid() ELSE '00000000-0000-0000-0000-000000000001'::uuid END,
    's' || n, n, 'name' || n % 20, 'NUMERIC', n % 100,
    CASE WHEN n % 4 < 2 THEN 't' || n / 10 END, CASE WHEN n % 4 = 1 THEN 'p' || n / 5 END,
    CASE WHEN n % 4 = 2 THEN 'c' || n / 10 END, CASE WHEN n % 4 = 3 THEN 'u' || n / 10 END,
    'SDK', 'default', '2025-06-01Z'::timestamptz - n * interval '3 minutes',
    '2025-06-01Z'::timestamptz + n * interval '1 second'
FROM generate_series(1, 50000) AS n
"""


async def plan_of(url: str, statement: str, arguments: list[Any]) -> str:
    connection = await asyncpg.connect(url)
    try:
        return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *arguments))
    finally:
        await connection.close()


def listing(after: Position | None = None, **filters: Any) -> Statement:
    return lambda: list_statement(PROJECT, ScoreFilters(**filters), order="desc", after=after, limit=50)


@pytest.mark.parametrize(
    ("index", "statement"),
    [
        pytest.param("scores_by_time", listing(), id="list"),
        pytest.param("scores_by_time", listing(after=AFTER), id="list, a later page"),
        pytest.param("scores_by_time", listing(start=WEEK_AGO, end=NOW), id="list, a window"),
        pytest.param("scores_by_name", listing(name=("name3",)), id="list by name"),
        pytest.param("scores_by_name", listing(name=("name3",), after=AFTER), id="list by name, a later page"),
        pytest.param("scores_by_trace", listing(trace_id=("t5",)), id="list by trace"),
        pytest.param("scores_by_trace", listing(trace_id=("t5", "t6")), id="list by traces"),
        pytest.param("scores_by_span", listing(span_id=("p5",)), id="list by span"),
        pytest.param("scores_by_session", listing(session_id=("c5",)), id="list by session"),
        pytest.param("scores_by_user", listing(user_id=("u5",)), id="list by tracked user"),
        pytest.param(
            "scores_by_arrival", listing(received_from=NOW + timedelta(seconds=49_990)), id="list of arrivals"
        ),
        pytest.param("scores_by_trace", lambda: (TRACE_STATEMENT, [PROJECT, "t5", 100]), id="by trace"),
        pytest.param("scores_by_span", lambda: (SPAN_STATEMENT, [PROJECT, "p5", "t5", 100]), id="by span"),
        pytest.param("scores_by_trace", lambda: (TRACES_STATEMENT, [PROJECT, ["t5", "t6"], 9]), id="by many traces"),
        pytest.param(
            "score_rollups_key",
            lambda: rollup_statement(PROJECT, ScoreFilters(name=("name3",), start=WEEK_AGO), (), ()),
            id="trend of one name",
        ),
        pytest.param(
            "score_rollups_key",
            lambda: rollup_statement(PROJECT, ScoreFilters(name=("name3",), start=WEEK_AGO, end=NOW), (), KOLKATA),
            id="trend of one name in a zone of half hours",
        ),
        pytest.param(
            "score_rollups_key",
            lambda: rollup_statement(PROJECT, ScoreFilters(name=("name3",)), ("source",), ()),
            id="aggregate by source",
        ),
        pytest.param(
            "scores_by_name",
            lambda: percentiles_statement(PROJECT, ScoreFilters(name=("name3",), start=WEEK_AGO), ()),
            id="percentiles of one name",
        ),
        pytest.param(
            "scores_by_name",
            lambda: rows_statement(PROJECT, ScoreFilters(name=("name3",), start=WEEK_AGO, author=("a",)), (), ()),
            id="aggregate of rows",
        ),
    ],
)
async def test_a_query_uses_its_index(filled_url: str, index: str, statement: Statement) -> None:
    plan = await plan_of(filled_url, *statement())

    assert f"using {index}" in plan or f"on {index}" in plan, plan
    assert "Seq Scan on scores" not in plan
    assert "Seq Scan on score_rollups" not in plan


async def test_a_page_of_the_list_needs_no_sorting(filled_url: str) -> None:
    assert "Sort" not in await plan_of(filled_url, *listing(after=AFTER)())
    assert "Sort" not in await plan_of(filled_url, *listing(name=("name3",), after=AFTER)())


async def test_the_ragged_end_of_a_window_reads_only_its_own_rows(filled_url: str) -> None:
    window = ScoreFilters(start=WEEK_AGO + timedelta(minutes=7), end=NOW - timedelta(minutes=2))

    plan = await plan_of(filled_url, *rollup_statement(PROJECT, window, (), ()))

    assert plan.count("using scores_by_time") + plan.count("on scores_by_time") == 2, plan


async def test_many_spans_of_a_trend_are_each_looked_up_by_the_index(filled_url: str) -> None:
    window = ScoreFilters(name=("name3",), start=WEEK_AGO, end=NOW)

    plan = await plan_of(filled_url, *rollup_statement(PROJECT, window, (), KOLKATA))

    looked_up = [line for line in plan.split("\n") if "Index Cond" in line and "bucket >= piece" in line]
    assert len(looked_up) == 5, plan  # of numbers hours and quarters, of all else also days
    assert plan.count("One-Time Filter") == 5, plan  # a look at the months tells which of the two there are
