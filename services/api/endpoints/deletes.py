"""`DELETE /v1/scores/{id}` and `POST /v1/scores/delete`. A delete is final (SPEC 3)."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from services.api.audit import audit
from services.api.bodies import read_body
from services.api.context import Context, context_of
from services.api.job_start import start_job
from services.api.queries.scores import count_scores
from services.api.writes.audit_log import Action
from shared.deletion import delete_scores, lock_scores_alone
from shared.errors import BrokenRule, NotFound, QueryTooWide, StoreUnavailable
from shared.filters import ScoreFilters
from shared.http.endpoint import Endpoint
from shared.http.responses import json_response
from shared.jobs import IDS_MAX, DeleteScores, Job, JobKind
from shared.keys import Grant, Scope
from shared.queue import newest_version
from shared.scores import TEXT_ID_LENGTH_MAX, TextId


class DeleteRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Either `ids` or `filter`; a filter that means every score of the project is refused."""

    ids: Annotated[list[TextId], Meta(min_length=1, max_length=IDS_MAX)] | None = None
    filter: ScoreFilters | None = None
    dry_run: Annotated[bool, Meta(description="Only count.")] = False


class DryRun(Struct, kw_only=True):
    """How many scores the job would be about; null where counting them takes too long."""

    count: int | None
    dry_run: bool = True


async def delete_one(request: Request, grant: Grant) -> Response:
    score_id, context = request.path_params["id"], context_of(request)
    if "\x00" in score_id or len(score_id) > TEXT_ID_LENGTH_MAX:
        raise NotFound("There is no such score.")
    version = await _version_of_now(context, grant)
    async with context.writing(grant.project_id) as connection:
        await lock_scores_alone(connection, grant.project_id)
        deleted = await delete_scores(connection, grant.project_id, [score_id], version)
        await audit(connection, request, grant, Action.SCORE_DELETED, score_id, stored=deleted > 0)
    if not deleted:
        raise NotFound("There is no such score.")
    return Response(status_code=204)


async def delete_many(request: Request, grant: Grant) -> Response:
    wanted, context = await read_body(request, DeleteRequest), context_of(request)
    if (wanted.ids is None) == (wanted.filter is None):
        raise BrokenRule("Either ids or filter is needed.", code="invalid_body")
    if wanted.filter is not None and wanted.filter.means_all():
        raise BrokenRule("The filter means every score: narrow it.", code="filter_too_wide", pointer="/filter")
    version = await _version_of_now(context, grant)
    ids = tuple(wanted.ids or ())
    count = await _count(context, grant, wanted, version)
    if wanted.dry_run:
        return json_response(DryRun(count=count))
    arguments = DeleteScores(ids=ids, filters=wanted.filter, version=version)
    job = await start_job(request, grant, JobKind.DELETE_SCORES, arguments, count, _told(wanted))
    return json_response(job, 202, {"Location": f"/v1/jobs/{job.id}"})


def _told(wanted: DeleteRequest) -> dict[str, Any]:
    """For the audit log: a filter as it was asked for, of ids how many."""
    return {"ids": len(wanted.ids)} if wanted.ids else {"filter": wanted.filter}


async def _count(context: Context, grant: Grant, wanted: DeleteRequest, version: int) -> int | None:
    """None where counting takes too long: what is too wide to count can still be deleted."""
    filters, ids = wanted.filter or ScoreFilters(), wanted.ids or ()
    try:
        async with context.reading(grant.project_id) as connection:
            return await count_scores(connection, grant.project_id, filters, ids, version)
    except QueryTooWide:
        return None


async def _version_of_now(context: Context, grant: Grant) -> int:
    """The place of this delete among the project's writes. Without the queue it can't be told: nothing is deleted."""
    try:
        return await newest_version(context.redis, grant.project_id, context.settings.queue_shards)
    except (RedisError, OSError) as error:
        raise StoreUnavailable("The queue can't be reached.", code="queue_unavailable") from error


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/scores/delete",
        handler=delete_many,
        needs=Scope.SCORES_DELETE,
        tag="Scores",
        summary="Delete scores by ids or by filter",
        description="As a background job. `dry_run` only counts. What is received after the request stays.",
        body=DeleteRequest,
        answers={200: DryRun, 202: Job},
        problems=(400, 401, 403, 413, 415, 422, 503),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/scores/{id:id}",
        handler=delete_one,
        needs=Scope.SCORES_DELETE,
        tag="Scores",
        summary="Delete one score",
        description="Final: a copy that was received before and is still in the queue stays away, also after a 404.",
        answers={204: None},
        problems=(401, 403, 404, 503),
    ),
)
