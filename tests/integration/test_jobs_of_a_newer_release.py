"""A background job of a kind that is not known here waits for a worker that knows it."""

import asyncpg
import pytest

from services.worker.jobs.running import UnknownKind, run_chunk, stale_jobs
from shared.postgres import open_pool
from tests.stack import Project


async def test_a_job_of_an_unknown_kind_is_left_as_it_is_and_asked_for_again(
    database_url: str, connection: asyncpg.Connection, project: Project
) -> None:
    await connection.execute("ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check")  # as the newer release's schema does
    job_id = await connection.fetchval(
        """
        INSERT INTO jobs (project_id, kind, arguments, updated_at)
        VALUES ($1, 'compare_scores', '{}', now() - interval '1 minute')
        RETURNING id
        """,
        project.id,
    )
    pool = await open_pool(database_url, size_max=1, statement_timeout_ms=10_000, name="test")

    with pytest.raises(UnknownKind):
        await run_chunk(pool, {}, job_id)

    assert await connection.fetchval("SELECT state FROM jobs") == "queued"
    assert await stale_jobs(pool) == [job_id]
    await pool.close()
