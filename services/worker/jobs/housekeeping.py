"""What has had its time goes, in chunks that leave ingest its turns: scores and rejected scores past their project's
retention, tombstones that no queued copy can need, receipts and ended jobs past theirs. Every step is harmless when it
is done twice."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from asyncpg import Record
from msgspec import Struct
from redis.asyncio import Redis

from services.worker.jobs.walk import along_the_index
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
            retained.scores += await _retain_scores(pool, project_id, days)
            retained.rejected_scores += await _retain_rejected(pool, project_id, days)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            retained.failed_projects += 1
            log.warning("retention_failed", project_id=str(project_id), reason=type(error).__name__)
    return retained


async def _retain_scores(pool: Pool, project_id: UUID, days: int) -> int:
    deleted = 0
    after: tuple[Any, ...] | None = (_BEGIN, "")
    while after is not None:
        async with pool.acquire() as connection, connection.transaction():
            await lock_scores_alone(connection, project_id)
            async with along_the_index(connection):
                rows = await connection.fetch(_OLD_SCORES, project_id, days, CHUNK_ROWS, *after)
            ids = [row["id"] for row in rows]
            tag = await connection.execute("DELETE FROM scores WHERE project_id = $1 AND id = ANY($2)", project_id, ids)
        deleted += affected(tag)
        after = _last(rows)
        await asyncio.sleep(PAUSE_SECONDS)
    return deleted


# A chunk begins after the one before. From the beginning it would pass once more over what earlier chunks have deleted,
# for an index keeps that until it is vacuumed.
_BEGIN = datetime(1, 1, 1, tzinfo=UTC)
_OLD_SCORES = """
SELECT scored_at, id FROM scores
WHERE project_id = $1 AND scored_at < now() - $2 * interval '1 day' AND (scored_at, id) > ($4, $5)
ORDER BY scored_at, id
LIMIT $3
"""


def _last(rows: Sequence[Record]) -> tuple[Any, ...] | None:
    """The last row of a full chunk; None where nothing is beyond."""
    return tuple(rows[-1].values()) if len(rows) == CHUNK_ROWS else None


async def _retain_rejected(pool: Pool, project_id: UUID, days: int) -> int:
    deleted = 0
    after: tuple[Any, ...] | None = (_BEGIN, "", 0)
    while after is not None:
        async with pool.acquire() as connection, connection.transaction(), along_the_index(connection):
            rows = await connection.fetch(_FORGET_REJECTED, project_id, days, CHUNK_ROWS, *after)
        deleted += len(rows)
        after = max(tuple(row.values()) for row in rows) if rows else None
        await asyncio.sleep(PAUSE_SECONDS)
    return deleted


# By place, for by key the planner would rather read all that is left of the old ones, for each chunk again. What a
# replay rejects again in between has another place and another time: it stays.
_FORGET_REJECTED = """
DELETE FROM rejected_scores
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM rejected_scores
    WHERE project_id = $1 AND rejected_at < now() - $2 * interval '1 day'
        AND (rejected_at, batch_id, index) > ($4, $5, $6)
    ORDER BY rejected_at, batch_id, index
    LIMIT $3
    FOR UPDATE
))
RETURNING rejected_at, batch_id, index
"""


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
    deleted, chunk = 0, CHUNK_ROWS
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
        deleted += chunk
        await asyncio.sleep(PAUSE_SECONDS)
    return deleted
