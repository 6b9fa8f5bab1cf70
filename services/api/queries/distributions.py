"""How numbers are spread: percentiles and histograms. Always from the rows, as no rollup can merge them exactly: they
cost what their rows cost, and the statement timeout bounds it."""

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from services.api.queries.statistics import CELLS_MAX, Group, fetch_parts, finite, groups_of
from shared.conditions import Arguments, score_conditions, span_conditions
from shared.filters import ScoreFilters
from shared.postgres import Connection

PERCENTILES = (0.5, 0.9, 0.99)


class Percentiles(Struct, frozen=True):
    """p50, p90 and p99, linearly interpolated (Postgres percentile_cont)."""

    p50: float | None
    p90: float | None
    p99: float | None


async def percentiles(
    connection: Connection, project_id: UUID, filters: ScoreFilters, group_by: Sequence[str]
) -> dict[tuple[str, Group], Percentiles]:
    """Per (name, group) of the numeric scores; always from rows, because no rollup can merge them exactly."""
    scale = 1.0
    rows = await fetch_parts(connection, *percentiles_statement(project_id, filters, group_by))
    if any(not math.isfinite(number) for row in rows for number in row["percentiles"]):
        # The distance of two doubles can be more than a double holds; of two halves it can't.
        scale = 2.0
        rows = await fetch_parts(connection, *percentiles_statement(project_id, filters, group_by, scale))
    return {
        (row["name"], tuple(row[f"g{n}"] for n in range(len(group_by)))): Percentiles(
            *(finite(number * scale) for number in row["percentiles"])
        )
        for row in rows
    }


def percentiles_statement(
    project_id: UUID, filters: ScoreFilters, group_by: Sequence[str], scale: float = 1.0
) -> tuple[str, list[Any]]:
    """Of the values divided by `scale`."""
    numbers = "numeric_value" if scale == 1.0 else f"numeric_value / {scale:g}"
    groups = "".join(f"g{n}, " for n in range(len(group_by)))
    arguments = Arguments()
    conditions = score_conditions(filters, project_id, arguments)
    conditions += span_conditions("scored_at", filters.span, arguments)
    # OFFSET 0: the rows are read whichever way is cheapest. Else the planner reads all of them in the order of the
    # index by name, each from another page, to be spared a sort: four times as long.
    statement = f"""
        SELECT
            name, {groups}
            percentile_cont({arguments.add(list(PERCENTILES))}::float8[]) WITHIN GROUP (ORDER BY number) AS percentiles
        FROM (
            SELECT name, {groups_of(group_by, arguments)} {numbers} AS number
            FROM scores
            WHERE {" AND ".join(conditions)} AND numeric_value IS NOT NULL
            OFFSET 0
        ) AS numbers
        GROUP BY {", ".join(str(n) for n in range(1, 2 + len(group_by)))}
        LIMIT {CELLS_MAX + 1}
        """  # noqa: S608 - values are arguments, see conditions
    return statement, arguments.values


class Extent(Struct, frozen=True):
    """How many numeric scores there are, and the least and the greatest of them."""

    count: int
    min: float | None
    max: float | None


async def extent(connection: Connection, project_id: UUID, filters: ScoreFilters) -> Extent:
    arguments = Arguments()
    conditions = score_conditions(filters, project_id, arguments)
    conditions += span_conditions("scored_at", filters.span, arguments)
    row = await connection.fetchrow(
        f"""
        SELECT count(*) AS count, min(numeric_value) AS min, max(numeric_value) AS max
        FROM scores
        WHERE {" AND ".join(conditions)} AND numeric_value IS NOT NULL
        """,  # noqa: S608 - values are arguments, see conditions
        *arguments.values,
    )
    assert row is not None
    return Extent(row["count"], row["min"], row["max"])


async def counts_between(
    connection: Connection, project_id: UUID, filters: ScoreFilters, edges: Sequence[float]
) -> list[int]:
    """How many numeric scores lie below the first edge, in each bin, and above the last edge: len(edges) + 1 counts.

    A bin includes its lower edge and excludes its upper one, but for the last bin, which includes both.
    """
    arguments = Arguments()
    conditions = score_conditions(filters, project_id, arguments)
    conditions += span_conditions("scored_at", filters.span, arguments)
    last = arguments.add(edges[-1])
    rows = await connection.fetch(
        f"""
        SELECT
            CASE WHEN numeric_value = {last}::float8 THEN {arguments.add(len(edges) - 1)}::int
                ELSE width_bucket(numeric_value, {arguments.add(list(edges))}::float8[]) END AS bin,
            count(*) AS count
        FROM scores
        WHERE {" AND ".join(conditions)} AND numeric_value IS NOT NULL
        GROUP BY 1
        """,  # noqa: S608 - values are arguments, see conditions
        *arguments.values,
    )
    counts = [0] * (len(edges) + 1)
    for row in rows:
        counts[row["bin"]] = row["count"]
    return counts
