"""Run a background job chunk by chunk. Each chunk and the account of it are one transaction: a job whose runner died
goes on after its last committed chunk, and two runners of one job take turns."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import structlog
from asyncpg import Record
from msgspec import Struct

from shared.jobs import JobKind, JobState
from shared.postgres import Connection, Pool, is_passing

log = structlog.get_logger()

PAUSE_SECONDS = 0.02  # between chunks, so that ingest gets its turn at the project's lock
STALE_SECONDS = 30


class RunningJob(Struct, frozen=True):
    id: UUID
    project_id: UUID
    kind: JobKind
    arguments: str


class Chunk(Struct, frozen=True):
    """What one chunk did: added to the job's counts. `is_last`: nothing is left to do."""

    counts: dict[str, int]
    is_last: bool


Work = Callable[[Connection, RunningJob], Awaitable[Chunk]]
"""Does one chunk in the transaction of the connection it is given, which holds no locks yet."""


class Progress(NamedTuple):
    """`kind` is None where there is no such job, or it has ended before."""

    kind: JobKind | None
    state: JobState


async def run_job(pool: Pool, work_of: dict[JobKind, Work], job_id: UUID, stop: asyncio.Event) -> Progress:
    """Run the job to its end, or to a stop. A stop, or a fault that passes, leaves it as it stands, and the schedule
    of this or another worker takes it up."""
    progress = Progress(None, JobState.RUNNING)
    while not progress.state.is_final and not stop.is_set():
        progress = await _run_chunk(pool, work_of, job_id)
        await asyncio.sleep(PAUSE_SECONDS)
    return progress


async def _run_chunk(pool: Pool, work_of: dict[JobKind, Work], job_id: UUID) -> Progress:
    kind = None
    try:
        async with pool.acquire() as connection, connection.transaction():
            job = await _job_to_run(connection, job_id)
            if job is None:
                return Progress(None, JobState.DONE)
            kind = job.kind
            chunk = await work_of[kind](connection, job)
            await _account(connection, job_id, chunk)
    except Exception as error:
        if is_passing(error):
            raise
        await _fail(pool, job_id, error)
        return Progress(kind, JobState.FAILED)
    if chunk.is_last:
        log.info("job_done", job_id=str(job_id), kind=kind)
    return Progress(kind, JobState.DONE if chunk.is_last else JobState.RUNNING)


async def _job_to_run(connection: Connection, job_id: UUID) -> RunningJob | None:
    """The job, or None if it has ended. No lock is taken yet: the project's comes first, in the job's own work."""
    row: Record | None = await connection.fetchrow(
        "SELECT id, project_id, kind, arguments FROM jobs WHERE id = $1 AND state IN ('queued', 'running')", job_id
    )
    return None if row is None else RunningJob(row["id"], row["project_id"], JobKind(row["kind"]), row["arguments"])


async def _account(connection: Connection, job_id: UUID, chunk: Chunk) -> None:
    counts: str = await connection.fetchval("SELECT counts FROM jobs WHERE id = $1 FOR UPDATE", job_id)
    total: dict[str, Any] = msgspec.json.decode(counts)
    for outcome, count in chunk.counts.items():
        total[outcome] = total.get(outcome, 0) + count
    await connection.execute(
        """
        UPDATE jobs
        SET state = $2, counts = $3, updated_at = now(), finished_at = CASE WHEN $2 = 'done' THEN now() END
        WHERE id = $1
        """,
        job_id,
        "done" if chunk.is_last else "running",
        msgspec.json.encode(total).decode(),
    )


async def _fail(pool: Pool, job_id: UUID, error: Exception) -> None:
    """Trying again would fail again: say so where the one who asked will look."""
    log.error("job_failed", job_id=str(job_id), reason=type(error).__name__, exc_info=error)
    async with pool.acquire() as connection:
        await connection.execute(
            "UPDATE jobs SET state = 'failed', detail = $2, updated_at = now(), finished_at = now() WHERE id = $1",
            job_id,
            f"{type(error).__name__}: {error}"[:500],
        )


async def stale_jobs(pool: Pool) -> list[UUID]:
    """Jobs that nobody runs: their request got lost, or their runner died."""
    rows = await pool.fetch(
        """
        SELECT id FROM jobs
        WHERE state IN ('queued', 'running') AND updated_at < now() - $1 * interval '1 second'
        ORDER BY created_at
        LIMIT 100
        """,
        float(STALE_SECONDS),
    )
    return [row["id"] for row in rows]
