"""`/v1/rejected-scores`: list, count, get, replay, delete."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from services.api.bodies import read_body
from services.api.context import Context, context_of, query_of
from services.api.cursors import read_rejected_cursor, write_rejected_cursor
from services.api.job_start import start_job, wait_for_job
from services.api.params import Query, window
from services.api.queries.rejected import (
    RejectedCount,
    RejectedPosition,
    RejectedScore,
    count_rejected,
    get_rejected,
    list_rejected,
    total_rejected,
)
from shared.clock import utc_now
from shared.errors import BrokenRule, NotFound
from shared.http.endpoint import Endpoint, Parameter
from shared.http.responses import json_response
from shared.jobs import Job, JobKind, RejectedFilters, RejectedJob
from shared.keys import Grant, Scope
from shared.rejected import place_of_rejected
from shared.scores import SCORE_BYTES_MAX, Score, misshapen

LIMIT_MAX, LIMIT_DEFAULT = 1000, 50
COUNTS_MAX = 1000
WAIT_SECONDS = 10


class RejectedPage(Struct):
    items: Sequence[RejectedScore]
    next_cursor: str | None


class RejectedCounts(Struct):
    """By (code, name), the most frequent first."""

    items: Sequence[RejectedCount]


class RejectedSelection(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which rejected scores; an empty filter means all of the project. `dry_run` only counts."""

    filter: RejectedFilters = RejectedFilters()
    dry_run: bool = False


class Edit(Struct, forbid_unknown_fields=True):
    """A whole score to replay in place of the one that was sent; its id and time stay those of the rejected one."""

    score: Annotated[Raw, Meta(extra_json_schema={"type": "object"})]


class RejectedDryRun(Struct, kw_only=True):
    count: int
    dry_run: bool = True


async def list_(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    filters = _filters(query)
    limit = query.whole_number("limit", 1, LIMIT_MAX, LIMIT_DEFAULT)
    cursor = query.cursor()
    query.done()
    after = None if cursor is None else read_rejected_cursor(cursor)
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    async with context.reading(grant.project_id) as connection:
        found = await list_rejected(connection, grant.project_id, filters, after, limit + 1)
    items = found[:limit]
    next_cursor = None
    if len(found) > limit:
        last = items[-1]
        next_cursor = write_rejected_cursor(RejectedPosition(last.rejected_at, last.batch_id, last.index))
    return json_response(RejectedPage(items, next_cursor), headers=headers)


async def counts(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    filters = _filters(query)
    query.done()
    async with context_of(request).reading(grant.project_id) as connection:
        found = await count_rejected(connection, grant.project_id, filters, COUNTS_MAX)
    return json_response(RejectedCounts(found))


def _filters(query: Query) -> RejectedFilters:
    start, end = window(query)
    return RejectedFilters(
        id=tuple(query.all("id")),
        code=tuple(query.all("code")),
        name=tuple(query.all("name")),
        batch_id=tuple(query.all("batch_id")),
        start=start,
        end=end,
    )


async def get(request: Request, grant: Grant) -> Response:
    return json_response(await _one(context_of(request), grant.project_id, request.path_params["id"]))


async def _one(context: Context, project_id: UUID, handle: str) -> RejectedScore:
    """Raises `NotFound`."""
    place = place_of_rejected(handle) if "\x00" not in handle else None
    if place is not None:
        async with context.reading(project_id) as connection:
            found = await get_rejected(connection, project_id, *place)
        if found is not None:
            return found
    raise NotFound("There is no such rejected score.")


async def replay_one(request: Request, grant: Grant) -> Response:
    context = context_of(request)
    rejected = await _one(context, grant.project_id, request.path_params["id"])
    edited = await _edited(request)
    arguments = RejectedJob(filters=RejectedFilters(id=(rejected.id,)), before=await _now(context), edited=edited)
    job = await start_job(
        request, grant, JobKind.REPLAY_REJECTED, arguments, 1, {"id": rejected.id, "edited": edited is not None}
    )
    job = await wait_for_job(context, grant.project_id, job, WAIT_SECONDS)
    return json_response(job, 200 if job.state.is_final else 202, {"Location": f"/v1/jobs/{job.id}"})


async def _edited(request: Request) -> str | None:
    """The score to replay instead, checked for its shape. Raises `BrokenRule`."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return None
    text = bytes(memoryview((await read_body(request, Edit)).score))
    if len(text) > SCORE_BYTES_MAX:
        detail = f"A score has at most {SCORE_BYTES_MAX} bytes of JSON, blanks included."
        raise BrokenRule(detail, code="item_too_large", pointer="/score")
    try:
        score = msgspec.json.decode(text, type=Score)
    except msgspec.ValidationError as error:
        raise BrokenRule(f"{error}.", code="invalid_body", pointer="/score") from error
    wrong = misshapen(score, utc_now())
    if wrong is not None:
        raise BrokenRule(
            f"{wrong.detail}.", code=wrong.code, pointer="/score" + (f"/{wrong.field}" if wrong.field else "")
        )
    return text.decode()


async def replay_many(request: Request, grant: Grant) -> Response:
    return await _start(request, grant, JobKind.REPLAY_REJECTED)


async def delete_many(request: Request, grant: Grant) -> Response:
    return await _start(request, grant, JobKind.DELETE_REJECTED)


async def delete_one(request: Request, grant: Grant) -> Response:
    context = context_of(request)
    rejected = await _one(context, grant.project_id, request.path_params["id"])
    arguments = RejectedJob(filters=RejectedFilters(id=(rejected.id,)), before=await _now(context))
    job = await start_job(request, grant, JobKind.DELETE_REJECTED, arguments, 1, {"id": rejected.id})
    job = await wait_for_job(context, grant.project_id, job, WAIT_SECONDS)
    return Response(status_code=204 if job.state.is_final else 202, headers={"Location": f"/v1/jobs/{job.id}"})


async def _now(context: Context) -> datetime:
    """By the clock that wrote `rejected_at`."""
    async with context.accounts() as connection:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return now


async def _start(request: Request, grant: Grant, kind: JobKind) -> Response:
    wanted, context = await read_body(request, RejectedSelection), context_of(request)
    async with context.reading(grant.project_id) as connection:
        total = await total_rejected(connection, grant.project_id, wanted.filter)
    if wanted.dry_run:
        return json_response(RejectedDryRun(count=total))
    arguments = RejectedJob(filters=wanted.filter, before=await _now(context))
    job = await start_job(request, grant, kind, arguments, total, {"filter": wanted.filter})
    return json_response(job, 202, {"Location": f"/v1/jobs/{job.id}"})


_FILTERS = (
    Parameter("id", str, "Only these.", repeatable=True),
    Parameter("code", str, "Only this code.", repeatable=True),
    Parameter("name", str, "Only this name.", repeatable=True),
    Parameter("batch_id", str, "Only this batch.", repeatable=True),
    Parameter("from", datetime, "Rejected at this time or later."),
    Parameter("to", datetime, "Rejected before this time."),
)
_TAG = "Rejected scores"
_ONE = (401, 403, 404, 503)
_MANY = (400, 401, 403, 413, 415, 422, 503)

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/rejected-scores",
        handler=list_,
        needs=Scope.SCORES_READ,
        tag=_TAG,
        summary="List rejected scores, newest first",
        query=(
            *_FILTERS,
            Parameter("limit", Annotated[int, Meta(ge=1, le=LIMIT_MAX)], "How many at the most."),
            Parameter("cursor", str, "Where the previous page ended."),
        ),
        answers={200: RejectedPage},
        problems=(400, 401, 403, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/rejected-scores/counts",
        handler=counts,
        needs=Scope.SCORES_READ,
        tag=_TAG,
        summary="Count rejected scores by code and name",
        query=_FILTERS,
        answers={200: RejectedCounts},
        problems=(400, 401, 403, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/rejected-scores/replay",
        handler=replay_many,
        needs=Scope.SCORES_WRITE,
        tag=_TAG,
        summary="Replay rejected scores",
        description="As a background job: each is judged by the rules in force now, with the time and the place among "
        "the writes that it had, and is stored or rejected again.",
        body=RejectedSelection,
        answers={200: RejectedDryRun, 202: Job},
        problems=_MANY,
    ),
    Endpoint(
        method="POST",
        path="/v1/rejected-scores/delete",
        handler=delete_many,
        needs=Scope.SCORES_DELETE,
        tag=_TAG,
        summary="Delete rejected scores",
        body=RejectedSelection,
        answers={200: RejectedDryRun, 202: Job},
        problems=_MANY,
    ),
    Endpoint(
        method="GET",
        path="/v1/rejected-scores/{id}",
        handler=get,
        needs=Scope.SCORES_READ,
        tag=_TAG,
        summary="Get one rejected score with the score as it was sent",
        answers={200: RejectedScore},
        problems=_ONE,
    ),
    Endpoint(
        method="POST",
        path="/v1/rejected-scores/{id}/replay",
        handler=replay_one,
        needs=Scope.SCORES_WRITE,
        tag=_TAG,
        summary="Replay one rejected score, edited if need be",
        description="With a body, `score` is judged in place of what was sent. 200 when the job has ended, 202 while "
        "it runs.",
        body=Edit,
        body_required=False,
        answers={200: Job, 202: Job},
        problems=(400, 401, 403, 404, 413, 415, 422, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/rejected-scores/{id}",
        handler=delete_one,
        needs=Scope.SCORES_DELETE,
        tag=_TAG,
        summary="Delete one rejected score",
        answers={202: None, 204: None},
        problems=_ONE,
    ),
)
