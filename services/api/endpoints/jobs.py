"""`/v1/jobs`: how background jobs stand."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from services.api.context import context_of, query_of
from services.api.job_start import wait_for_job
from services.api.writes.jobs import get_job, list_jobs
from shared.errors import NotFound
from shared.http.endpoint import Endpoint, Parameter
from shared.http.responses import json_response
from shared.ids import parse_uuid
from shared.jobs import Job
from shared.keys import Grant, Scope

LIMIT_MAX = 100
WAIT_SECONDS_MAX = 30


class JobList(Struct):
    items: Sequence[Job]


async def list_(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    limit = query.whole_number("limit", 1, LIMIT_MAX, LIMIT_MAX)
    query.done()
    async with context_of(request).reading(grant.project_id) as connection:
        items = await list_jobs(connection, grant.project_id, limit)
    return json_response(JobList(items))


async def get(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    wait = query.whole_number("wait", 0, WAIT_SECONDS_MAX, 0)
    query.done()
    context, job_id = context_of(request), parse_uuid(request.path_params["id"])
    job = None
    if job_id is not None:
        async with context.reading(grant.project_id) as connection:
            job = await get_job(connection, grant.project_id, job_id)
    if job is None:
        raise NotFound("There is no such job.")
    return json_response(await wait_for_job(context, grant.project_id, job, wait))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/jobs",
        handler=list_,
        needs=Scope.SCORES_READ,
        tag="Jobs",
        summary="List background jobs, newest first",
        query=(Parameter("limit", Annotated[int, Meta(ge=1, le=LIMIT_MAX)], "How many at the most."),),
        answers={200: JobList},
        problems=(400, 401, 403, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/jobs/{id}",
        handler=get,
        needs=Scope.SCORES_READ,
        tag="Jobs",
        summary="How a background job stands",
        description="`counts` says what became of the scores so far, `total` how many there were when it was made.",
        query=(Parameter("wait", Annotated[int, Meta(ge=0, le=WAIT_SECONDS_MAX)], "Seconds to wait for its end."),),
        answers={200: Job},
        problems=(400, 401, 403, 404, 503),
    ),
)
