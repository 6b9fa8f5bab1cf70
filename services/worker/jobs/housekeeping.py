"""What has had its time goes, in chunks that leave ingest its turns: scores and rejected scores past their project's
retention, tombstones that no queued copy can need, receipts and ended jobs past theirs. Every step is harmless when it
is done twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog
from msgspec import Struct
from redis.asyncio import Redis

from shared import dead_letters
from shared.deletion import lock_scores_alone
from shared.postgres import Pool, affected
from shared.queue import oldest_version

log = structlog.get_logger()

CHUNK_ROWS = 1000
PAUSE_SECONDS = 0.05
TOMBSTONE_AGE_MIN = timedelta(hours=1)
RECEIPT_AGE_MAX = timedelta(days=7)
JOB_AGE_MAX = timedelta(days=30)


class Retained(Struct):
    """How much retention deleted, and in how many projects it failed."""

    scores: int = 0
    rejected_scores: int = 0
    failed_projects: int = 0


async def apply_retention(pool: Pool) -> Retained:
    """Delete the scores that were made, and forget the rejected ones that were rejected, longer ago than their
    project keeps them. What fails in one project is told, and tried again the next time."""
    retained = Retained()
    rows = await pool.fetch("SELECT id, retention_days FROM projects WHERE retention_days IS NOT NULL ORDER BY id")
    for project_id, days in rows:
        try:
            retained.scores += await _in_chunks(lambda: _retain_scores(pool, project_id, days))  # noqa: B023 - at once
            retained.rejected_scores += await _in_chunks(lambda: _retain_rejected(pool, project_id, days))  # noqa: B023
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            retained.failed_projects += 1
            log.warning("retention_failed", project_id=str(project_id), reason=type(error).__name__)
    return retained


async def _in_chunks(delete_chunk: Callable[[], Awaitable[int]]) -> int:
    deleted, chunk = 0, CHUNK_ROWS
    while chunk == CHUNK_ROWS:
        chunk = await delete_chunk()
        deleted += chunk
        await asyncio.sleep(PAUSE_SECONDS)
    return deleted


async def _retain_rejected(pool: Pool, project_id: UUID, days: int) -> int:
    tag = await pool.execute(
        """
        DELETE FROM rejected_scores
        WHERE (project_id, batch_id, index) IN (
            SELECT project_id, batch_id, index FROM rejected_scores
            WHERE project_id = $1 AND rejected_at < now() - $2 * interval '1 day'
            ORDER BY rejected_at
            LIMIT $3
        )
        """,
        project_id,
        days,
        CHUNK_ROWS,
    )
    return affected(tag)


async def _retain_scores(pool: Pool, project_id: UUID, days: int) -> int:
    async with pool.acquire() as connection, connection.transaction():
        await lock_scores_alone(connection, project_id)
        tag = await connection.execute(
            """
            DELETE FROM scores
            WHERE project_id = $1 AND id IN (
                SELECT id FROM scores
                WHERE project_id = $1 AND scored_at < now() - $2 * interval '1 day'
                ORDER BY scored_at
                LIMIT $3
            )
            """,
            project_id,
            days,
            CHUNK_ROWS,
        )
    return affected(tag)


async def forget_tombstones(pool: Pool, redis: Redis, shards: int) -> int:
    """Forget deletes that everything still in the queue, or among the dead letters, came after; how many."""
    forgotten = 0
    rows = await pool.fetch("SELECT DISTINCT project_id FROM score_tombstones")
    for project_id in [row["project_id"] for row in rows]:
        oldest = await oldest_version(redis, project_id, shards)
        # Asked after the queue: that is the way an entry goes.
        oldest_dead = await dead_letters.oldest_version(redis)
        if oldest_dead is not None:
            oldest = min(oldest, oldest_dead)
        forgotten += affected(
            await pool.execute(
                """
                DELETE FROM score_tombstones
                WHERE project_id = $1 AND version < $2 AND deleted_at < now() - $3::interval
                """,
                project_id,
                oldest,
                TOMBSTONE_AGE_MIN,
            )
        )
    return forgotten


async def forget_receipts(pool: Pool) -> int:
    """Forget receipts and ended jobs that nobody will ask for any more; how many."""
    receipts = await _forget(pool, "batches", "done_at", RECEIPT_AGE_MAX)
    return receipts + await _forget(pool, "jobs", "finished_at", JOB_AGE_MAX)


async def _forget(pool: Pool, table: str, column: str, age: timedelta) -> int:
    async def forget_chunk() -> int:
        tag = await pool.execute(
            f"""
            DELETE FROM {table} WHERE ctid = ANY (
                ARRAY(SELECT ctid FROM {table} WHERE {column} < now() - $1::interval LIMIT $2)
            )
            """,  # noqa: S608 - names of our own
            age,
            CHUNK_ROWS,
        )
        return affected(tag)

    return await _in_chunks(forget_chunk)
