"""Run background jobs chunk by chunk. Each chunk and the account of it are one transaction: a job whose runner died
goes on after its last committed chunk, and two runners of one job take turns."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import structlog
from asyncpg import Record
from msgspec import Struct

from shared.jobs import DeletePlace, JobKind, JobState, RejectedPlace
from shared.postgres import Connection, Pool, is_passing, took_too_long
from shared.tasks import end_tasks

log = structlog.get_logger()

PAUSE_SECONDS = 0.02  # between chunks, so that ingest gets its turn at the project's lock
RUNNERS = 2  # chunks at once in one process
STALE_SECONDS = 30


class RunningJob(Struct, frozen=True):
    id: UUID
    project_id: UUID
    kind: JobKind
    arguments: str


class Chunk(Struct, frozen=True):
    """What one chunk did: added to the job's counts. `is_last`: nothing is left to do. `place`: where the next chunk
    goes on, which it finds among its arguments."""

    counts: dict[str, int]
    is_last: bool
    place: DeletePlace | RejectedPlace | None = None


Work = Callable[[Connection, RunningJob], Awaitable[Chunk]]
"""Does one chunk in the transaction of the connection it is given, which holds no locks yet."""


class UnknownKind(Exception):
    """The job is of a newer release: a worker of that release does it."""


class Progress(NamedTuple):
    """`kind` is None where there is no such job, or it has ended before."""

    kind: JobKind | None
    state: JobState


class BackgroundJobs:
    """The jobs of many projects: a chunk of one, a chunk of the next, of each project the oldest job first. So a
    project with a hundred jobs delays only its own."""

    def __init__(self, pool: Pool, work_of: dict[JobKind, Work], on_end: Callable[[JobKind, JobState], None]) -> None:
        self._pool = pool
        self._work_of = work_of
        self._on_end = on_end
        self._turns: asyncio.Queue[UUID] = asyncio.Queue()
        self._known: set[UUID] = set()  # projects that have a turn coming, or are having it
        self._asked: set[UUID] = set()  # projects that got a job since their last turn began

    async def ask(self, job_id: UUID) -> None:
        """See to it that the job's project gets turns until it has no unfinished job."""
        project_id: UUID | None = await self._pool.fetchval("SELECT project_id FROM jobs WHERE id = $1", job_id)
        if project_id is None:
            return
        self._asked.add(project_id)
        if project_id not in self._known:
            self._known.add(project_id)
            self._turns.put_nowait(project_id)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; the chunks in hand are finished, the rest is for the schedule of this or another worker."""
        async with asyncio.TaskGroup() as runners:
            for number in range(RUNNERS):
                runners.create_task(self._runner(stop), name=f"job-runner-{number}")

    async def _runner(self, stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            getting = asyncio.create_task(self._turns.get())
            await asyncio.wait({getting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                await end_tasks([getting])
                return
            await self._turn(getting.result())
        await end_tasks([stopping])

    async def _turn(self, project_id: UUID) -> None:
        self._asked.discard(project_id)
        has_more = await self._has_more(project_id)
        await asyncio.sleep(PAUSE_SECONDS)
        if has_more or project_id in self._asked:
            self._turns.put_nowait(project_id)
        else:
            self._known.discard(project_id)

    async def _has_more(self, project_id: UUID) -> bool:
        """Run one chunk of the project's oldest job. False too after a fault that passes: then the schedule takes the
        job up again."""
        try:
            job_id: UUID | None = await self._pool.fetchval(_OLDEST, project_id)
            if job_id is None:
                return False
            progress = await run_chunk(self._pool, self._work_of, job_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other projects' jobs go on
            log.warning("job_interrupted", project_id=str(project_id), reason=type(error).__name__)
            return False
        if progress.kind is not None and progress.state.is_final:
            self._on_end(progress.kind, progress.state)
        return True


_OLDEST = """
SELECT id FROM jobs
WHERE project_id = $1 AND state IN ('queued', 'running')
ORDER BY created_at, id
LIMIT 1
"""


async def run_chunk(pool: Pool, work_of: dict[JobKind, Work], job_id: UUID) -> Progress:
    """One chunk of the job, if it has not ended. Raises `UnknownKind`, and what passes by itself: then the job stands
    as it stood.

    One that takes too long has failed: the next try would take as long, and the project's other jobs wait for it.
    """
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
        if isinstance(error, UnknownKind) or (is_passing(error) and not took_too_long(error)):
            raise
        await _fail(pool, job_id, error)
        return Progress(kind, JobState.FAILED)
    if chunk.is_last:
        log.info("job_done", job_id=str(job_id), kind=kind)
    return Progress(kind, JobState.DONE if chunk.is_last else JobState.RUNNING)


async def _job_to_run(connection: Connection, job_id: UUID) -> RunningJob | None:
    """The job, or None if it has ended. No lock is taken yet: the project's comes first, in the job's own work. Raises
    `UnknownKind`."""
    row: Record | None = await connection.fetchrow(
        "SELECT id, project_id, kind, arguments FROM jobs WHERE id = $1 AND state IN ('queued', 'running')", job_id
    )
    if row is None:
        return None
    if row["kind"] not in set(JobKind):
        raise UnknownKind(row["kind"])
    return RunningJob(row["id"], row["project_id"], JobKind(row["kind"]), row["arguments"])


async def _account(connection: Connection, job_id: UUID, chunk: Chunk) -> None:
    counts: str = await connection.fetchval("SELECT counts FROM jobs WHERE id = $1 FOR UPDATE", job_id)
    total: dict[str, Any] = msgspec.json.decode(counts)
    for outcome, count in chunk.counts.items():
        total[outcome] = total.get(outcome, 0) + count
    await connection.execute(
        """
        UPDATE jobs
        SET state = $2, counts = $3, updated_at = now(), finished_at = CASE WHEN $2 = 'done' THEN now() END,
            arguments = CASE WHEN $4::jsonb IS NULL THEN arguments ELSE jsonb_set(arguments, '{place}', $4) END
        WHERE id = $1
        """,
        job_id,
        "done" if chunk.is_last else "running",
        msgspec.json.encode(total).decode(),
        None if chunk.place is None else msgspec.json.encode(chunk.place).decode(),
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
    """The oldest job of each project whose jobs nobody runs: their request got lost, or their runner died."""
    rows = await pool.fetch(
        """
        SELECT DISTINCT ON (project_id) id FROM jobs
        WHERE state IN ('queued', 'running') AND updated_at < now() - $1 * interval '1 second'
            AND NOT EXISTS (
                SELECT FROM jobs AS others
                WHERE others.project_id = jobs.project_id AND others.updated_at >= now() - $1 * interval '1 second'
            )
        ORDER BY project_id, created_at
        LIMIT 100
        """,
        float(STALE_SECONDS),
    )
    return [row["id"] for row in rows]
