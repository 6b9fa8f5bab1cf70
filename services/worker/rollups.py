"""Compare the rollups with the rows, or make them again from the rows: `python -m services.worker.rollups`.

    verify  [--project ID]   every bucket that differs; exits with 1 if one does
    rebuild [--project ID]   make them again, of one project or of all

`rebuild` does each project in one transaction that has its scores to itself: readers go on with the rollups that were
there, scores that come in wait in the queue. DATABASE_URL says where; to rebuild, it has to be the owner of the tables,
for nobody else has the right to write rollups.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from services.worker.jobs.verify_rollups import verify_project
from shared.postgres import Connection, affected

SHOWN_MAX = 20


async def rebuild_project(connection: Connection, project_id: UUID) -> int:
    """How many buckets it has now. Twice changes nothing."""
    async with connection.transaction():
        await connection.execute("SELECT lock_scores_alone($1)", [project_id])
        await connection.execute("DELETE FROM score_rollups WHERE project_id = $1", project_id)
        return affected(await connection.execute(_REBUILD, project_id))


# As the triggers would have made them (schema.sql, add_to_score_rollups).
_REBUILD = """
INSERT INTO score_rollups
    (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
SELECT
    project_id, w.width, w.bucket, name, data_type, source, environment,
    coalesce(categorical_value, boolean_value::text, ''),
    count(*),
    sum(numeric_value::text::numeric),
    sum(numeric_value::text::numeric * numeric_value::text::numeric),
    min(numeric_value),
    max(numeric_value)
FROM scores
CROSS JOIN LATERAL (
    VALUES
        ('quarter', date_bin('15 minutes', scored_at, 'epoch')),
        ('hour', date_bin('1 hour', scored_at, 'epoch')),
        ('day', date_bin('1 day', scored_at, 'epoch')),
        ('month', date_trunc('month', scored_at, 'UTC'))
) AS w (width, bucket)
WHERE project_id = $1
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""


async def verify(connection: Connection, project_ids: Sequence[UUID]) -> int:
    found = 0
    for project_id in project_ids:
        differences = await verify_project(connection, project_id)
        found += len(differences)
        for one in differences[:SHOWN_MAX]:
            rollup, rows = one.count_by_rollup, one.count_by_rows
            print(f"{project_id}  {one.width} {one.bucket.isoformat()}  rollup: {rollup} scores, rows: {rows}")
    print(f"{len(project_ids)} projects, {found} buckets differ")
    return 1 if found else 0


async def rebuild(connection: Connection, project_ids: Sequence[UUID]) -> int:
    for project_id in project_ids:
        print(f"{project_id}  {await rebuild_project(connection, project_id)} buckets")
    return 0


_SESSION = {"timezone": "UTC", "extra_float_digits": "1"}  # as in the services' pools


async def _run(action: str, url: str, project: UUID | None) -> int:
    connection = await asyncpg.connect(url, timeout=10, server_settings=_SESSION)
    try:
        rows = await connection.fetch("SELECT id FROM projects WHERE $1::uuid IS NULL OR id = $1 ORDER BY id", project)
        chosen = [row["id"] for row in rows]
        if project is not None and not chosen:
            sys.exit(f"there is no project {project}")
        return await (verify if action == "verify" else rebuild)(connection, chosen)
    finally:
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m services.worker.rollups",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=("verify", "rebuild"))
    parser.add_argument("--project", type=UUID, metavar="ID")
    arguments = parser.parse_args()
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("DATABASE_URL is not set")
    try:
        sys.exit(asyncio.run(_run(arguments.action, url, arguments.project)))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        sys.exit(f"can't {arguments.action}: {error}")


if __name__ == "__main__":
    main()
