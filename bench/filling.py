"""Fill the table of scores with millions of rows, quickly: made by PostgreSQL itself, the rollups by the real trigger.

90 days up to now, 50 names of which few have most of the scores, three data types, four sources, ten scores to a trace.
The same every time, but for the day on which it ends.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from bench.house import House

CHUNK_ROWS = 250_000
CONNECTIONS = 2
DAYS = 90
NAMES = 50
SCORES_PER_TRACE = 10

_SECONDARY_INDEXES = (
    "SELECT indexdef, indexname FROM pg_indexes WHERE tablename = 'scores' AND indexname LIKE 'scores_by_%'"
)

# Names come as 51^u, where u is even from 0 to 1: the first has a sixth of all scores, the last a two hundredth. Data
# types go with the name.
_FILL = f"""
    INSERT INTO scores (project_id, id, version, name, data_type, numeric_value, categorical_value, boolean_value,
        trace_id, span_id, session_id, user_id, source, environment, author, comment, metadata, scored_at, received_at)
    SELECT
        $1, 's' || lpad(n::text, 9, '0'), n, 'metric_' || lpad(k::text, 2, '0'), data_type,
        CASE data_type WHEN 'NUMERIC' THEN round((v * v)::numeric, 4) END,
        CASE data_type WHEN 'CATEGORICAL' THEN 'kind_' || floor(v * 8) END,
        CASE data_type WHEN 'BOOLEAN' THEN v < 0.8 END,
        CASE WHEN n % 20 < 18 THEN 'trace-' || n / {SCORES_PER_TRACE} END,
        CASE WHEN n % 20 < 6 THEN 'span-' || n / 3 END,
        CASE WHEN n % 20 = 18 THEN 'session-' || n / 200 END,
        CASE WHEN n % 20 = 19 THEN 'user-' || floor(v * 5000) END,
        (ARRAY['SDK', 'LLM_JUDGE', 'LLM_JUDGE', 'HUMAN', 'SDK', 'SDK', 'EXTERNAL', 'SDK'])[1 + n % 8],
        (ARRAY['production', 'production', 'production', 'staging'])[1 + k % 4],
        CASE WHEN n % 8 = 3 THEN 'rater-' || floor(v * 40) END,
        CASE WHEN n % 4 = 0 THEN 'a remark of some words, number ' || n END,
        jsonb_build_object('release', 'v' || n % 12, 'dataset', 'generated'),
        now() - (1 - n::float8 / $4) * interval '{DAYS} days', now()
    FROM (
        SELECT n, k, (ARRAY['NUMERIC', 'NUMERIC', 'BOOLEAN', 'CATEGORICAL', 'NUMERIC'])[1 + k % 5] AS data_type, v
        FROM (
            SELECT
                n, floor(power({NAMES} + 1::float8, (hashint8(n) & 1048575) / 1048576::float8))::int AS k,
                (hashint8(n + 1000000007) & 1048575) / 1048576::float8 AS v
            FROM generate_series($2::bigint, $3::bigint) AS n
            OFFSET 0  -- else each expression is computed wherever it is named
        ) AS dice
        OFFSET 0
    ) AS kinds
    """


async def fill(house: House, rows: int) -> None:
    """Empty the tables and put `rows` scores in. The indexes are made at the end, and the planner knows the tables."""
    connection = await asyncpg.connect(house.database_url)
    await connection.execute("TRUNCATE scores, batches, rejected_scores")
    indexes = await connection.fetch(_SECONDARY_INDEXES)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['indexname']}")
    chunks = [(start, min(start + CHUNK_ROWS, rows) - 1) for start in range(0, rows, CHUNK_ROWS)]
    project_id = house.credentials.project_id
    await _all_done(house, [(_FILL, project_id, first, last, rows) for first, last in chunks])
    await _all_done(house, [(index["indexdef"],) for index in indexes])
    for table in ("scores", "score_rollups"):
        await connection.execute(f"VACUUM (ANALYZE) {table}")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _all_done(house: House, statements: Sequence[tuple[Any, ...]]) -> None:
    """Over a few connections at once, each of which takes the next statement."""
    left = iter(statements)

    async def work() -> None:
        connection = await asyncpg.connect(house.database_url)
        await connection.execute("SET synchronous_commit = off; SET work_mem = '256MB'")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for statement, *arguments in left:
            await connection.execute(statement, *arguments)
        await connection.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
