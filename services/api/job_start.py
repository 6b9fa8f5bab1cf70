"""Start a background job: its row first, then the request to run it. If that gets lost, the worker's schedule finds
the row."""

from typing import Any
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from services.api.context import Context
from services.api.writes.jobs import get_job, make_job
from shared.job_queue import ask_to_run
from shared.jobs import Job, JobKind

log = structlog.get_logger()


async def start_job(context: Context, project_id: UUID, kind: JobKind, arguments: Any, total: int | None) -> Job:
    async with context.writing(project_id) as connection:
        job = await make_job(connection, project_id, kind, arguments, total)
    try:
        await ask_to_run(context.redis, job.id)
    except (RedisError, OSError) as error:
        log.warning("job_left_to_schedule", job_id=str(job.id), reason=type(error).__name__)
    return job


async def wait_for_job(context: Context, project_id: UUID, job: Job, seconds: float) -> Job:
    """The job as soon as it has ended, or as it stands after `seconds`."""

    async def look() -> Job:
        async with context.reading(project_id) as connection:
            return await get_job(connection, project_id, job.id) or job

    return await context.waiters.wait(job, look, lambda found: found.state.is_final, seconds)
