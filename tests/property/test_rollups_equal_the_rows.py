"""What rollups answer is what the same query over the rows answers: in any window, and in the buckets of any zone.

The scores and the ends of the windows lie where it is hard: next to midnights of the zone, on days when its clocks
change, and at the starts of hours and quarters.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.api.queries.statistics import rollup_statement, rows_statement
from services.api.windows import Granularity, bucket_bounds
from shared.filters import ScoreFilters
from tests.integration.rows import insert
from tests.property.fold import is_close
from tests.stack import Project, make_project

# A day of each zone at which its clocks change, or its offset is odd.
DAYS = {
    "UTC": "2025-02-28",
    "Europe/Berlin": "2025-03-30",
    "America/New_York": "2025-11-02",
    "Asia/Kolkata": "2025-03-31",
    "Asia/Kathmandu": "2025-12-31",
    "America/St_Johns": "2025-03-09",
    "Pacific/Chatham": "2025-04-06",
    "Australia/Lord_Howe": "2025-04-06",
    "America/Sao_Paulo": "2018-11-04",  # whose midnight is skipped
    "Africa/Monrovia": "1972-01-07",  # 44 minutes and 30 seconds behind UTC, and from then on not at all
    "Europe/Amsterdam": "1937-07-01",  # 1 hour 19 minutes and 32 seconds ahead, then 1 hour and 20 minutes
}
MICROSECOND, QUARTER, DAY = timedelta(microseconds=1), timedelta(minutes=15), timedelta(days=1)

names = (f"p{number}" for number in count())
values = st.sampled_from([0.1, 1 / 3, -1e9, 1e15, 5e-324, "x", "y", True, False])
offsets = st.builds(
    lambda days, quarters, nudge: days * DAY + quarters * QUARTER + nudge,
    st.integers(-2, 2) | st.sampled_from([-31, 31]),
    st.integers(-6, 6) | st.integers(0, 95),
    st.sampled_from([timedelta(0), MICROSECOND, -MICROSECOND, timedelta(seconds=30), timedelta(minutes=7)]),
)


class Asked(NamedTuple):
    start: timedelta
    length: timedelta
    granularity: Granularity | None
    group_by: Sequence[str]


lengths = st.integers(1, 5 * 96).map(lambda quarters: quarters * QUARTER) | st.integers(1, 10**12).map(
    lambda micros: micros * MICROSECOND
)
questions = st.builds(
    Asked, offsets, lengths, st.none() | st.sampled_from(Granularity), st.sampled_from([(), ("source",)])
)
rows_of_scores = st.lists(st.tuples(offsets, values, st.sampled_from(["SDK", "HUMAN"])), min_size=1, max_size=60)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(sorted(DAYS)), rows_of_scores, st.lists(questions, min_size=10, max_size=20))
async def test_rollups_and_rows_answer_alike(
    database_url: str, redis_url: str, zone: str, scores: list[tuple[timedelta, Any, str]], asked: list[Asked]
) -> None:
    midnight = datetime.fromisoformat(DAYS[zone]).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    project = await make_project(database_url, redis_url, slug=next(names))
    connection = await asyncpg.connect(database_url, server_settings={"timezone": "UTC"})
    rows = [
        {"id": str(number), "value": value, "source": source, "scored_at": midnight + offset}
        for number, (offset, value, source) in enumerate(scores)
    ]
    await insert(connection, project.id, *rows)

    for one in asked:
        await ask_both(connection, project, midnight, ZoneInfo(zone), one)

    await connection.close()


async def ask_both(
    connection: asyncpg.Connection, project: Project, midnight: datetime, zone: ZoneInfo, asked: Asked
) -> None:
    start, end = midnight + asked.start, midnight + asked.start + asked.length
    bounds = bucket_bounds(start, end, asked.granularity, zone) if asked.granularity else []
    query = (project.id, ScoreFilters(name=("relevance",), start=start, end=end), asked.group_by, bounds)

    from_rollups = await answered(connection, *rollup_statement(*query))
    from_rows = await answered(connection, *rows_statement(*query, exact=True))

    assert from_rollups.keys() == from_rows.keys()
    for key, found in from_rollups.items():
        assert found[:3] == from_rows[key][:3]
        assert all(map(is_close, found, from_rows[key])), (key, found, from_rows[key])


async def answered(
    connection: asyncpg.Connection, statement: str, arguments: list[Any]
) -> dict[tuple[Any, ...], list[Any]]:
    """Count, least, greatest, mean and variance by slot, data type, label and group."""
    return {
        (row["slot"], row["data_type"], row["label"], row.get("g0")): [
            row["count"],
            row["min"],
            row["max"],
            *(number(row[name]) for name in ("avg", "variance")),
        ]
        for row in await connection.fetch(statement, *arguments)
    }


def number(found: Decimal | None) -> float | None:
    return None if found is None else float(found)
