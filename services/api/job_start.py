"""Start a background job: its row first, then the request to run it. If that gets lost, the worker's schedule finds
the row."""

from typing import Any
from uuid import UUID

import structlog
from redis.exceptions import RedisError
from starlette.requests import Request

from services.api.audit import audit
from services.api.context import Context, context_of
from services.api.writes.audit_log import Action
from services.api.writes.jobs import get_job, make_job
from shared.job_queue import ask_to_run
from shared.jobs import Job, JobKind
from shared.keys import Grant

log = structlog.get_logger()

_ACTION_OF = {
    JobKind.DELETE_SCORES: Action.SCORES_DELETED,
    JobKind.REPLAY_REJECTED: Action.REJECTED_REPLAYED,
    JobKind.DELETE_REJECTED: Action.REJECTED_DELETED,
}


async def start_job(
    request: Request, grant: Grant, kind: JobKind, arguments: Any, total: int | None, details: Any
) -> Job:
    """`details` are for the audit log: what was asked for, without what it is about to say of scores."""
    context = context_of(request)
    async with context.writing(grant.project_id) as connection:
        job = await make_job(connection, grant.project_id, kind, arguments, total)
        await audit(connection, request, grant, _ACTION_OF[kind], job.id, total=total, asked_for=details)
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
