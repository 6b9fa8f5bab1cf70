"""`python -m services.worker.rollups`: what it makes of the rows is what the triggers made of them one by one."""

import asyncio
import os
import random
import sys
from datetime import timedelta
from typing import Any

import asyncpg

from services.worker.rollups import rebuild_project
from tests.integration.rows import NOON, insert
from tests.logins import WORKER_LOGIN, as_login
from tests.stack import Project, make_project
from tests.system.processes import ROOT

SEED = 2982


async def command(url: str, *arguments: str) -> tuple[int | None, str, str]:
    """Exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.worker.rollups", *arguments,
        cwd=ROOT, env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def a_value(chance: random.Random) -> object:
    number, flag, label = chance.lognormvariate(0, 30), chance.random() < 0.5, chance.choice("abc")
    return chance.choice([number, flag, label])


def random_rows(count: int) -> list[dict[str, Any]]:
    chance = random.Random(SEED)
    return [
        {
            "id": f"s{number}",
            "name": chance.choice(["n", "m"]),
            "value": a_value(chance),
            "scored_at": NOON + timedelta(minutes=chance.randrange(5000)),
            "environment": chance.choice(["default", "staging"]),
        }
        for number in range(count)
    ]


async def test_rebuilding_gives_what_the_triggers_gave(connection: asyncpg.Connection, project: Project) -> None:
    await insert(connection, project.id, *random_rows(500))
    await connection.execute("DELETE FROM scores WHERE id LIKE 's1%'")
    by_triggers = await connection.fetch(_COMPARABLE)

    await connection.execute("UPDATE score_rollups SET count = 7, sum = NULL WHERE width = 'day'")
    await connection.execute("DELETE FROM score_rollups WHERE name = 'm'")
    await rebuild_project(connection, project.id)

    assert len(by_triggers) > 100
    assert await connection.fetch(_COMPARABLE) == by_triggers


_COMPARABLE = """
SELECT project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max
FROM score_rollups
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
"""


async def test_the_command_tells_what_differs_and_mends_one_project(
    database_url: str, redis_url: str, connection: asyncpg.Connection, project: Project
) -> None:
    other = await make_project(database_url, redis_url, "other")
    for one in (project, other):
        await insert(connection, one.id, {"id": "a", "value": 1}, {"id": "b", "value": 2})
    await connection.execute("UPDATE score_rollups SET count = 5 WHERE width = 'day'")

    code, told, _ = await command(database_url, "verify")
    assert code == 1
    assert "2 projects, 4 buckets differ" in told
    assert (await command(database_url, "rebuild", "--project", str(project.id)))[:2] == (
        0,
        f"{project.id}  4 buckets\n",
    )

    code, told, _ = await command(database_url, "verify", "--project", str(project.id))
    assert (code, told) == (0, "1 projects, 0 buckets differ\n")
    assert (await command(database_url, "verify", "--project", str(other.id)))[0] == 1


async def test_the_workers_login_verifies_and_may_not_rebuild(database_url: str, project: Project) -> None:
    url = as_login(database_url, WORKER_LOGIN)

    assert (await command(url, "verify"))[0] == 0
    code, _, complaint = await command(url, "rebuild")
    assert (code, complaint) == (1, "can't rebuild: permission denied for table score_rollups\n")


async def test_scores_that_come_in_meanwhile_are_in_the_rebuilt_rollups(
    database_url: str, connection: asyncpg.Connection, project: Project
) -> None:
    """The rebuild waits for a writer that holds the project, and sees what it wrote."""
    writer = await asyncpg.connect(database_url)
    async with writer.transaction():
        await writer.execute("SELECT lock_scores_shared($1)", [project.id])
        await insert(writer, project.id, {"id": "a", "value": 1})
        rebuilding = asyncio.create_task(rebuild_project(connection, project.id))
        await asyncio.wait({rebuilding}, timeout=0.2)
        assert not rebuilding.done()

    assert await rebuilding == 4
    assert await writer.fetchval("SELECT sum(count) FROM score_rollups") == 4
    await writer.close()
