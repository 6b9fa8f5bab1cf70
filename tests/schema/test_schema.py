"""schema.sql and the migrations build the same database, and the runner can be run by several at once."""

import asyncio
import subprocess
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.binaries import postgres_binary
from services.worker.jobs.verify_rollups import verify_project
from shared.schema.runner import RIGHTS_FILE, SCHEMA_FILE, migrate, migrations, wait_for_schema, wanted_version
from tests.integration.rows import NOON, insert


def dump_of(url: str) -> list[str]:
    """The database as SQL, without comments and what changes from dump to dump."""
    dumped = subprocess.run(
        [str(postgres_binary("pg_dump")), "--schema-only", "--no-owner", url],
        check=True,
        capture_output=True,
        text=True,
    )
    return [line for line in dumped.stdout.split("\n") if line and not line.startswith(("--", "\\"))]


async def test_the_schema_file_and_the_migrations_build_the_same_database(
    bare_database_url: str, database_url: str
) -> None:
    connection = await asyncpg.connect(bare_database_url)
    await connection.execute(SCHEMA_FILE.read_text())
    await connection.execute(RIGHTS_FILE.read_text())
    await connection.close()

    assert dump_of(bare_database_url) == dump_of(database_url)


async def test_migrating_twice_applies_nothing_the_second_time(bare_database_url: str) -> None:
    first = await migrate(bare_database_url)
    second = await migrate(bare_database_url)

    assert (len(first), second) == (len(migrations()), [])


async def test_runners_at_the_same_time_apply_each_migration_once(bare_database_url: str) -> None:
    applied = await asyncio.gather(*(migrate(bare_database_url) for _ in range(5)))

    assert sorted(len(names) for names in applied) == [0, 0, 0, 0, len(migrations())]


async def test_a_service_waits_until_the_schema_is_there(bare_database_url: str) -> None:
    waiting = asyncio.create_task(wait_for_schema(bare_database_url, pause_seconds=0.01))
    await asyncio.wait({waiting}, timeout=0.2)
    assert not waiting.done()

    await migrate(bare_database_url)

    await asyncio.wait_for(waiting, 10)


async def at_version(url: str, version: int) -> asyncpg.Connection:
    """A connection to a database as an earlier release left it."""
    connection = await asyncpg.connect(url)
    for migration in migrations()[:version]:
        await connection.execute(migration.sql)
        await connection.execute("INSERT INTO schema_migrations VALUES ($1, $2)", migration.version, migration.name)
    return connection


async def test_rollups_of_months_are_filled_from_the_days_that_are_there(bare_database_url: str) -> None:
    connection, project_id = await at_version(bare_database_url, 4), uuid4()
    rows = [{"id": str(n), "value": n / 7, "scored_at": NOON + timedelta(days=9 * n)} for n in range(9)]
    await insert(connection, project_id, *rows)

    await migrate(bare_database_url)

    assert await connection.fetchval("SELECT count(*) FROM score_rollups WHERE width = 'month'") == 3
    assert await verify_project(connection, project_id) == []
    await connection.close()


async def test_rollups_of_hours_are_filled_from_the_quarters_that_are_there(bare_database_url: str) -> None:
    connection, project_id = await at_version(bare_database_url, 6), uuid4()
    values = [1e15, 0.1, -1e9, 1 / 3, 1e300, 5e-324, "x", "y", "x", True, False]
    rows = [
        {"id": str(n), "value": values[n % 11], "scored_at": NOON + timedelta(minutes=7 * n), "source": "SDK"}
        for n in range(99)
    ]
    await insert(connection, project_id, *rows)

    await migrate(bare_database_url)
    await insert(connection, project_id, {"id": "new", "value": 0.2, "scored_at": NOON + timedelta(minutes=50)})
    await connection.execute("DELETE FROM scores WHERE numeric_value >= 1e15")

    assert await connection.fetchval("SELECT count(DISTINCT bucket) FROM score_rollups WHERE width = 'hour'") == 12
    assert await verify_project(connection, project_id) == []
    await connection.close()


async def test_reads_go_on_and_writes_wait_while_hours_are_filled(bare_database_url: str) -> None:
    writer, project_id = await at_version(bare_database_url, 6), uuid4()
    migrating, reader = [await asyncpg.connect(bare_database_url) for _ in range(2)]
    await insert(writer, project_id, {"id": "before"})

    async with migrating.transaction():
        await migrating.execute(migrations()[6].sql)
        assert await reader.fetchval("SELECT sum(count) FROM score_rollups WHERE width = 'quarter'") == 1
        assert await reader.fetchval("SELECT count(*) FROM scores") == 1
        writing = asyncio.create_task(insert(writer, project_id, {"id": "meanwhile"}))
        await asyncio.wait({writing}, timeout=0.2)
        assert not writing.done()

    await writing
    assert await reader.fetchval("SELECT sum(count) FROM score_rollups WHERE width = 'hour'") == 2
    for connection in (writer, migrating, reader):
        await connection.close()


async def test_a_service_of_this_release_waits_on_a_database_of_the_one_before(bare_database_url: str) -> None:
    connection = await at_version(bare_database_url, wanted_version() - 1)
    waiting = asyncio.create_task(wait_for_schema(bare_database_url, pause_seconds=0.01))
    await asyncio.wait({waiting}, timeout=0.2)
    assert not waiting.done()

    await migrate(bare_database_url)

    await asyncio.wait_for(waiting, 10)
    await connection.close()


@pytest.mark.parametrize(
    "fields",
    [
        "'NUMERIC', NULL, NULL, NULL",
        "'NUMERIC', 1, 'a', NULL",
        "'BOOLEAN', 1, NULL, NULL",
        "'CATEGORICAL', NULL, NULL, true",
        "'OTHER', 1, NULL, NULL",
    ],
)
async def test_the_value_that_is_set_is_the_one_of_the_data_type(connection: asyncpg.Connection, fields: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(
            f"""
            INSERT INTO scores (project_id, id, version, name, data_type, numeric_value, categorical_value,
                boolean_value, trace_id, source, environment, scored_at, received_at)
            SELECT gen_random_uuid(), 'a', 1, 'n', {fields}, 't', 'SDK', 'default', now(), now()
            """
        )
