"""What has had its time goes, in chunks that leave ingest its turns: scores past their project's retention, tombstones
that no queued copy can need, receipts and ended jobs past theirs. Every step is harmless when it is done twice."""

import asyncio
from datetime import timedelta
from uuid import UUID

from redis.asyncio import Redis

from shared.deletion import lock_scores_alone
from shared.postgres import Pool, affected
from shared.queue import oldest_version

CHUNK_ROWS = 1000
PAUSE_SECONDS = 0.05
TOMBSTONE_AGE_MIN = timedelta(hours=1)
RECEIPT_AGE_MAX = timedelta(days=7)
JOB_AGE_MAX = timedelta(days=30)


async def apply_retention(pool: Pool) -> int:
    """Delete the scores that were made longer ago than their project keeps them; how many."""
    rows = await pool.fetch("SELECT id, retention_days FROM projects WHERE retention_days IS NOT NULL ORDER BY id")
    return sum([await _retain(pool, row["id"], row["retention_days"]) for row in rows])


async def _retain(pool: Pool, project_id: UUID, days: int) -> int:
    deleted = chunk = await _retain_chunk(pool, project_id, days)
    while chunk == CHUNK_ROWS:
        await asyncio.sleep(PAUSE_SECONDS)
        chunk = await _retain_chunk(pool, project_id, days)
        deleted += chunk
    return deleted


async def _retain_chunk(pool: Pool, project_id: UUID, days: int) -> int:
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
    """Forget deletes that everything still in the queue came after; how many."""
    forgotten = 0
    rows = await pool.fetch("SELECT DISTINCT project_id FROM score_tombstones")
    for project_id in [row["project_id"] for row in rows]:
        oldest = await oldest_version(redis, project_id, shards)
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
    forgotten, chunk = 0, CHUNK_ROWS
    while chunk == CHUNK_ROWS:
        tag = await pool.execute(
            f"""
            DELETE FROM {table} WHERE ctid = ANY (
                ARRAY(SELECT ctid FROM {table} WHERE {column} < now() - $1::interval LIMIT $2)
            )
            """,  # noqa: S608 - names of our own
            age,
            CHUNK_ROWS,
        )
        chunk = affected(tag)
        forgotten += chunk
        await asyncio.sleep(PAUSE_SECONDS)
    return forgotten
