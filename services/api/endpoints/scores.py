"""`GET /v1/scores`, `GET /v1/scores/{id}` and the scores of traces and spans."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from services.api.bodies import read_body
from services.api.context import context_of, query_of
from services.api.cursors import read_cursor, write_cursor
from services.api.params import FILTER_PARAMETERS, score_filters
from services.api.queries.scores import (
    Order,
    Position,
    ScoreItem,
    TraceScore,
    get_rejection,
    get_score,
    list_scores,
    scores_of_span,
    scores_of_trace,
    scores_of_traces,
)
from shared.errors import NotFound
from shared.http.endpoint import Endpoint, Parameter
from shared.http.responses import json_response
from shared.keys import Grant, Scope

LIMIT_MAX = 1000
LIMIT_DEFAULT = 50
TRACES_MAX = 500
PER_TRACE_MAX = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ScorePage(Struct):
    """`next_cursor` is null on the last page."""

    items: Sequence[ScoreItem]
    next_cursor: str | None


class TraceScores(Struct):
    """Newest first. `has_more`: there are more than were asked for; `GET /v1/scores?trace_id=` pages through all."""

    trace_id: str
    items: Sequence[TraceScore]
    has_more: bool


class TracesQuery(Struct, forbid_unknown_fields=True):
    """Up to 500 traces, and how many scores of each are wanted."""

    trace_ids: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(min_length=1, max_length=TRACES_MAX)
    ]
    limit_per_trace: Annotated[int, Meta(ge=1, le=LIMIT_MAX)] = PER_TRACE_MAX


class TracesAnswer(Struct):
    """In the order asked for, each trace once."""

    items: Sequence[TraceScores]


async def list_(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    filters = score_filters(query)
    order: Order = query.word("order", Order, "desc")  # type: ignore[arg-type]
    limit = query.whole_number("limit", 1, LIMIT_MAX, LIMIT_DEFAULT)
    cursor = query.cursor()
    query.done()
    after = None if cursor is None else read_cursor(cursor, order)
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    async with context.reading(grant.project_id) as connection:
        found = await list_scores(connection, grant.project_id, filters, order=order, after=after, limit=limit + 1)
    items = found[:limit]
    next_cursor = write_cursor(order, _position(items[-1])) if len(found) > limit else None
    return json_response(ScorePage(items, next_cursor), headers=headers)


def _position(score: ScoreItem) -> Position:
    since = score.scored_at - _EPOCH
    return Position((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds, score.id)


async def get(request: Request, grant: Grant) -> Response:
    score_id = request.path_params["id"]
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    if "\x00" in score_id:
        raise NotFound("There is no such score.")
    async with context.reading(grant.project_id) as connection:
        score = await get_score(connection, grant.project_id, score_id)
        rejection = None if score else await get_rejection(connection, grant.project_id, score_id)
    if rejection is not None:
        raise NotFound(f"The score was rejected ({rejection.code}): {rejection.detail}", code="score_rejected")
    if score is None:
        raise NotFound("There is no such score.")
    return json_response(score, headers=headers)


async def of_trace(request: Request, grant: Grant) -> Response:
    limit = _limit(request)
    trace_id = _plain(request.path_params["trace_id"])
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    async with context.reading(grant.project_id) as connection:
        found = await scores_of_trace(connection, grant.project_id, trace_id, limit + 1)
    return json_response(_trace_scores(trace_id, found, limit), headers=headers)


async def of_span(request: Request, grant: Grant) -> Response:
    limit = _limit(request)
    trace_id, span_id = _plain(request.path_params["trace_id"]), _plain(request.path_params["span_id"])
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    async with context.reading(grant.project_id) as connection:
        found = await scores_of_span(connection, grant.project_id, trace_id, span_id, limit + 1)
    return json_response(_trace_scores(trace_id, found, limit), headers=headers)


async def of_traces(request: Request, grant: Grant) -> Response:
    asked = await read_body(request, TracesQuery)
    limit = asked.limit_per_trace
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    async with context.reading(grant.project_id) as connection:
        found = await scores_of_traces(connection, grant.project_id, asked.trace_ids, limit + 1)
    items = [_trace_scores(trace_id, scores, limit) for trace_id, scores in found.items()]
    return json_response(TracesAnswer(items), headers=headers)


def _limit(request: Request) -> int:
    query = query_of(request)
    limit = query.whole_number("limit", 1, LIMIT_MAX, LIMIT_MAX)
    query.done()
    return limit


def _plain(text: str) -> str:
    if "\x00" in text:
        raise NotFound("There is no such id.")
    return text


def _trace_scores(trace_id: str, found: list[TraceScore], limit: int) -> TraceScores:
    return TraceScores(trace_id, found[:limit], has_more=len(found) > limit)


_LIMIT = Parameter("limit", Annotated[int, Meta(ge=1, le=LIMIT_MAX)], "How many at the most.")

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/scores",
        handler=list_,
        needs=Scope.SCORES_READ,
        tag="Scores",
        summary="List scores",
        description="By time (`scored_at`, then `id`), newest first. Every filter holds together with the others; the "
        "values of one filter are alternatives. `metadata.<key>=text` filters by a key of the metadata. Pass "
        "`next_cursor` back as `cursor` for the next page.",
        query=(
            *FILTER_PARAMETERS,
            Parameter("order", Order, "desc (default) or asc."),
            _LIMIT,
            Parameter("cursor", str, "Where the previous page ended."),
        ),
        answers={200: ScorePage},
        problems=(400, 401, 403, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/scores/{id:id}",
        handler=get,
        needs=Scope.SCORES_READ,
        tag="Scores",
        summary="Get one score",
        description="404 with the code `score_rejected` and the reason if that is what became of it.",
        answers={200: ScoreItem},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/traces/{trace_id:id}/spans/{span_id:id}/scores",
        handler=of_span,
        needs=Scope.SCORES_READ,
        tag="Traces",
        summary="The scores of a span",
        query=(_LIMIT,),
        answers={200: TraceScores},
        problems=(400, 401, 403, 404, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/traces/{trace_id:id}/scores",
        handler=of_trace,
        needs=Scope.SCORES_READ,
        tag="Traces",
        summary="The scores of a trace and of its spans",
        query=(_LIMIT,),
        answers={200: TraceScores},
        problems=(400, 401, 403, 404, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/traces/scores",
        handler=of_traces,
        needs=Scope.SCORES_READ,
        tag="Traces",
        summary="The scores of up to 500 traces",
        body=TracesQuery,
        answers={200: TracesAnswer},
        problems=(400, 401, 403, 413, 415, 422, 503),
    ),
)
