"""Rollups equal the rows they stand for, whatever is done to the rows and by whom (SPEC 9)."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from services.worker.jobs.verify_rollups import verify_project, verify_rollups
from services.worker.rollups import rebuild_project
from shared.postgres import open_pool
from tests.integration.rows import NOON, insert
from tests.stack import Project, make_project


async def day(connection: asyncpg.Connection, label: str = "") -> dict[str, Any]:
    """The one day bucket of that label."""
    [row] = await connection.fetch(
        "SELECT count, sum, min, max FROM score_rollups WHERE width = 'day' AND label = $1", label
    )
    return dict(row)


async def test_rows_add_up(connection: asyncpg.Connection, project: Project) -> None:
    await insert(connection, project.id, {"id": "a", "value": 0.1}, {"id": "b", "value": 0.2})
    await insert(connection, project.id, {"id": "c", "value": 0.3})

    found = await day(connection)

    assert (found["count"], str(found["sum"]), found["min"], found["max"]) == (3, "0.6", 0.1, 0.3)
    assert await verify_project(connection, project.id) == []


async def test_a_category_has_a_bucket_of_its_own(connection: asyncpg.Connection, project: Project) -> None:
    await insert(
        connection, project.id, {"id": "a", "value": "x"}, {"id": "b", "value": "y"}, {"id": "c", "value": "x"}
    )

    assert ((await day(connection, "x"))["count"], (await day(connection, "y"))["count"]) == (2, 1)


async def test_deleting_a_row_takes_its_share_away(connection: asyncpg.Connection, project: Project) -> None:
    await insert(
        connection, project.id, {"id": "a", "value": 1e15}, {"id": "b", "value": 0.1}, {"id": "c", "value": 0.2}
    )

    await connection.execute("DELETE FROM scores WHERE id = 'a'")

    found = await day(connection)
    assert (found["count"], str(found["sum"]), found["max"]) == (2, "0.3", 0.2)
    assert await verify_project(connection, project.id) == []


@pytest.mark.parametrize("gone", ["a", "b", "c", "d", "e", "f", "g"])
async def test_extremes_come_back_when_their_holder_goes(
    connection: asyncpg.Connection, project: Project, gone: str
) -> None:
    await insert(
        connection,
        project.id,
        {"id": "a", "value": 1},
        {"id": "b", "value": 5, "scored_at": NOON + timedelta(hours=3)},
        {"id": "c", "value": 5},
        {"id": "d", "value": 0},
        {"id": "e", "value": 9, "scored_at": NOON + timedelta(days=9)},
        {"id": "f", "value": 9, "scored_at": NOON + timedelta(days=40)},
        {"id": "g", "value": -1, "scored_at": NOON + timedelta(minutes=20)},
    )

    await connection.execute("DELETE FROM scores WHERE id = $1", gone)

    assert await verify_project(connection, project.id) == []


async def test_the_last_row_takes_the_bucket_with_it(connection: asyncpg.Connection, project: Project) -> None:
    await insert(connection, project.id, {"id": "a"})

    await connection.execute("DELETE FROM scores")

    assert await connection.fetchval("SELECT count(*) FROM score_rollups") == 0


async def test_an_update_by_hand_keeps_rollups_exact(connection: asyncpg.Connection, project: Project) -> None:
    await insert(connection, project.id, {"id": "a", "value": 1}, {"id": "b", "value": 2})

    await connection.execute("UPDATE scores SET numeric_value = 7, scored_at = scored_at + interval '1 day'")

    assert await verify_project(connection, project.id) == []


async def test_what_a_session_says_of_digits_changes_nothing(connection: asyncpg.Connection, project: Project) -> None:
    """With fewer, 0.1 + 0.2 would be added as 0.30000000000000004 and taken away as 0.3, or the other way around."""
    await insert(connection, project.id, {"id": "a", "value": 0.1 + 0.2}, {"id": "b", "value": 1 / 3})

    await connection.execute("SET extra_float_digits = 0")
    await insert(connection, project.id, {"id": "c", "value": 2 / 3})
    await connection.execute("DELETE FROM scores WHERE id = 'a'")
    await connection.execute("RESET extra_float_digits")

    assert (await day(connection))["sum"] == Decimal("0.3333333333333333") + Decimal("0.6666666666666666")
    assert await verify_project(connection, project.id) == []


async def test_what_a_database_says_of_digits_changes_nothing_for_the_services(
    connection: asyncpg.Connection, database_url: str, project: Project
) -> None:
    await insert(connection, project.id, {"id": "a", "value": 0.1 + 0.2})
    database = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {database} SET extra_float_digits = 0")

    pool = await open_pool(database_url, size_max=1, statement_timeout_ms=10_000, name="test")

    assert await verify_rollups(pool) == []
    await pool.close()


async def test_a_long_label_fits(connection: asyncpg.Connection, project: Project) -> None:
    await insert(connection, project.id, {"id": "a", "value": "𝔸" * 500, "name": "ｎ" * 100, "environment": "𝔼" * 100})

    assert await verify_project(connection, project.id) == []


async def test_extreme_doubles_are_summed_exactly(connection: asyncpg.Connection, project: Project) -> None:
    values = [1.7e308, 1.7e308, 5e-324, -1.7e308]
    await insert(connection, project.id, *({"id": str(n), "value": value} for n, value in enumerate(values)))

    await connection.execute("DELETE FROM scores WHERE numeric_value > 1e300")

    found = await day(connection)
    assert (found["count"], found["min"], found["max"]) == (2, -1.7e308, 5e-324)
    assert await verify_project(connection, project.id) == []


async def test_writers_at_the_same_time_lose_nothing(database_url: str, project: Project) -> None:
    async def write(writer: int) -> None:
        connection = await asyncpg.connect(database_url)
        for round_ in range(10):
            async with connection.transaction():
                await connection.execute("SELECT lock_scores_shared($1)", [project.id])
                await insert(
                    connection,
                    project.id,
                    *({"id": f"{writer}-{round_}-{n}", "name": f"n{n}", "value": n / 7} for n in range(20)),
                )
            if round_ % 3 == 2:
                async with connection.transaction():
                    await connection.execute("SELECT lock_scores_alone($1)", [project.id])
                    await connection.execute("DELETE FROM scores WHERE id LIKE $1", f"{writer}-{round_}-1%")
        await connection.close()

    await asyncio.gather(*map(write, range(6)))

    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM scores") == 6 * (200 - 3 * 11)
    assert await verify_project(connection, project.id) == []
    await connection.close()


@pytest.mark.parametrize(
    ("width", "told"),
    [
        ("quarter", [("quarter", 5, 1)]),
        ("hour", [("hour", 5, 1)]),
        ("day", [("day", 5, 1), ("month", 1, 5)]),  # months are compared with their days
        ("month", [("month", 5, 1)]),
    ],
)
async def test_verification_reports_a_bucket_that_is_wrong(
    connection: asyncpg.Connection, project: Project, width: str, told: list[tuple[str, int, int]]
) -> None:
    await insert(connection, project.id, {"id": "a"})
    await connection.execute("UPDATE score_rollups SET count = 5 WHERE width = $1", width)

    found = await verify_project(connection, project.id)

    assert [(one.width, one.count_by_rollup, one.count_by_rows) for one in found] == told


async def test_verification_reports_a_month_that_is_missing(connection: asyncpg.Connection, project: Project) -> None:
    await insert(connection, project.id, {"id": "a"}, {"id": "b", "scored_at": NOON + timedelta(days=50)})
    await connection.execute("DELETE FROM score_rollups WHERE width = 'month' AND bucket > $1", NOON)

    [difference] = await verify_project(connection, project.id)

    assert (difference.width, difference.count_by_rollup, difference.count_by_rows) == ("month", None, 1)


async def test_extremes_of_many_environments_of_one_quarter_come_back(
    connection: asyncpg.Connection, project: Project
) -> None:
    """More of them than are looked at before the quarter is read whole."""
    rows = [
        {"id": f"{letter}{number}", "environment": f"e{number}", "value": number + share}
        for number in range(300)
        for letter, share in (("low", 0.1), ("middle", 0.5), ("high", 0.9))
    ]
    await insert(connection, project.id, *rows)

    await connection.execute("DELETE FROM scores WHERE id LIKE 'low%' OR id LIKE 'high2%'")

    extremes = "SELECT DISTINCT min, max FROM score_rollups WHERE environment = $1"  # the same in all widths
    assert [tuple(row) for row in await connection.fetch(extremes, "e5")] == [(5.5, 5.9)]
    assert [tuple(row) for row in await connection.fetch(extremes, "e250")] == [(250.5, 250.5)]
    assert await verify_project(connection, project.id) == []


async def test_spoilt_rollups_of_a_project_are_made_anew_from_its_rows(
    connection: asyncpg.Connection, database_url: str, redis_url: str, project: Project
) -> None:
    other = await make_project(database_url, redis_url, "other")
    values = (0.1, 0.2, -1e9, "x", "y", True, False)
    for owner in (project, other):
        await insert(
            connection, owner.id,
            *({"id": f"s{number}", "value": value, "scored_at": NOON + timedelta(days=9 * number, minutes=7 * number)}
              for number, value in enumerate(values)),
        )  # fmt: skip
    await connection.execute("UPDATE score_rollups SET count = count + 1, sum = sum - 1 WHERE width = 'day'")
    await connection.execute("DELETE FROM score_rollups WHERE data_type = 'BOOLEAN' AND width = 'quarter'")

    await rebuild_project(connection, project.id)

    assert await verify_project(connection, project.id) == []
    assert await verify_project(connection, other.id) != []
