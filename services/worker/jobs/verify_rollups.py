"""Compare the rollups with the rows they stand for and report every difference (SPEC 9). Changes nothing.

Quarters, hours and days are compared with the rows, months with the days.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from msgspec import Struct

from shared.postgres import Connection, Pool

log = structlog.get_logger()

SLICE = timedelta(days=7)  # what one statement compares
DIFFERENCES_LOGGED_MAX = 20


class Difference(Struct, frozen=True):
    """A bucket whose rollup is not what its rows say, or the days of a month. None: the one or the other has no such
    bucket."""

    project_id: UUID
    width: str
    bucket: datetime
    name: str
    data_type: str
    source: str
    environment: str
    label: str
    count_by_rollup: int | None
    count_by_rows: int | None


async def verify_rollups(pool: Pool, since: datetime | None = None) -> list[Difference]:
    """Every difference in every project, from the UTC day of `since` on (None: from its first score on)."""
    differences: list[Difference] = []
    async with pool.acquire() as connection:
        for project_id in [row["id"] for row in await connection.fetch("SELECT id FROM projects ORDER BY id")]:
            differences += await verify_project(connection, project_id, since)
    for difference in differences[:DIFFERENCES_LOGGED_MAX]:
        log.error("rollup_differs", project_id=str(difference.project_id),
                  bucket=difference.bucket.isoformat(), width=difference.width,
                  count_by_rollup=difference.count_by_rollup, count_by_rows=difference.count_by_rows)  # fmt: skip
    return differences


async def verify_project(connection: Connection, project_id: UUID, since: datetime | None = None) -> list[Difference]:
    span = await connection.fetchrow(_SPAN, project_id)
    assert span is not None
    if span["first"] is None:
        return []
    start = _day(max(span["first"], since) if since else span["first"])
    month = start.replace(day=1)
    differences: list[Difference] = []
    while start <= span["last"]:
        differences += await _differences(connection, _OF_QUARTERS_HOURS_AND_DAYS, project_id, start, start + SLICE)
        start += SLICE
    while month <= span["last"]:
        differences += await _differences(connection, _OF_MONTHS, project_id, month, _next_month(month))
        month = _next_month(month)
    return differences


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _next_month(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)


async def _differences(
    connection: Connection, statement: str, project_id: UUID, start: datetime, end: datetime
) -> list[Difference]:
    """One statement, so one snapshot: what is written meanwhile is in both or in neither."""
    rows = await connection.fetch(statement, project_id, start, end)
    return [Difference(project_id=project_id, **row) for row in rows]


_SPAN = """
SELECT least(s.first, r.first) AS first, greatest(s.last, r.last) AS last
FROM (SELECT min(scored_at) AS first, max(scored_at) AS last FROM scores WHERE project_id = $1) AS s,
    (SELECT min(bucket) AS first, max(bucket) AS last FROM score_rollups WHERE project_id = $1) AS r
"""

_OF_QUARTERS_HOURS_AND_DAYS = """
WITH by_rows AS (
    SELECT
        w.width, date_bin(w.step, scored_at, 'epoch') AS bucket, name, data_type, source, environment,
        coalesce(categorical_value, boolean_value::text, '') AS label,
        count(*) AS count,
        sum(decimal_value) AS sum,
        sum(decimal_value * decimal_value) AS sum_squares,
        min(numeric_value) AS min,
        max(numeric_value) AS max
    FROM (
        SELECT *, numeric_value::text::numeric AS decimal_value FROM scores
        WHERE project_id = $1 AND scored_at >= $2 AND scored_at < $3
        OFFSET 0
    ) AS once_converted
    CROSS JOIN (
        VALUES ('quarter', interval '15 minutes'), ('hour', interval '1 hour'), ('day', interval '1 day')
    ) AS w (width, step)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),
by_rollup AS (
    SELECT width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max
    FROM score_rollups
    WHERE project_id = $1 AND width IN ('quarter', 'hour', 'day') AND bucket >= $2 AND bucket < $3
)
SELECT
    width, bucket, name, data_type, source, environment, label,
    a.count AS count_by_rollup, b.count AS count_by_rows
FROM by_rollup AS a FULL JOIN by_rows AS b USING (width, bucket, name, data_type, source, environment, label)
WHERE (a.count, a.sum, a.sum_squares, a.min, a.max) IS DISTINCT FROM (b.count, b.sum, b.sum_squares, b.min, b.max)
ORDER BY 1, 2, 3, 4, 5, 6, 7
"""

_OF_MONTHS = """
WITH by_days AS (
    SELECT
        name, data_type, source, environment, label,
        sum(count) AS count, sum(sum) AS sum, sum(sum_squares) AS sum_squares, min(min) AS min, max(max) AS max
    FROM score_rollups
    WHERE project_id = $1 AND width = 'day' AND bucket >= $2 AND bucket < $3
    GROUP BY 1, 2, 3, 4, 5
),
by_month AS (
    SELECT name, data_type, source, environment, label, count, sum, sum_squares, min, max
    FROM score_rollups
    WHERE project_id = $1 AND width = 'month' AND bucket = $2
)
SELECT
    'month' AS width, $2 AS bucket, name, data_type, source, environment, label,
    a.count AS count_by_rollup, b.count::bigint AS count_by_rows
FROM by_month AS a FULL JOIN by_days AS b USING (name, data_type, source, environment, label)
WHERE (a.count, a.sum, a.sum_squares, a.min, a.max) IS DISTINCT FROM (b.count, b.sum, b.sum_squares, b.min, b.max)
ORDER BY 3, 4, 5, 6, 7
"""
