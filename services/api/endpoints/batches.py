"""`GET /v1/batches/{batch_id}` (the receipt) and `GET /v1/rejected-scores`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from services.api.context import Context, context_of
from services.api.cursors import read_rejected_cursor, write_rejected_cursor
from services.api.params import Query, window
from services.api.queries.batches import (
    Counts,
    RejectedFilters,
    RejectedPosition,
    RejectedScore,
    get_counts,
    list_rejected,
    rejected_of_batch,
)
from shared.envelope import decode
from shared.errors import NotFound, StoreUnavailable, UnreadableEnvelope
from shared.http.endpoint import Endpoint, Parameter
from shared.http.responses import json_response
from shared.keys import Grant, Scope
from shared.queue import find

LIMIT_MAX = 1000
LIMIT_DEFAULT = 50


class ReceiptRejection(Struct):
    """`index` is the score's place in the request."""

    index: int
    id: str
    code: str
    detail: str


class Receipt(Struct, kw_only=True):
    """What became of a batch. While it is pending, only `accepted` is known."""

    batch_id: str
    status: Literal["pending", "done"]
    accepted: int
    stored: int | None = None
    replaced: int | None = None
    unchanged: int | None = None
    rejected: int | None = None
    rejections: Sequence[ReceiptRejection] = ()


class RejectedPage(Struct):
    items: Sequence[RejectedScore]
    next_cursor: str | None


async def get_receipt(request: Request, grant: Grant) -> Response:
    batch_id = request.path_params["batch_id"]
    context = context_of(request)
    # The queue is asked between two looks at the store: a batch that leaves the queue is in the store by then.
    receipt = (
        await _done(context, grant.project_id, batch_id)
        or await _pending(context, grant.project_id, batch_id)
        or await _done(context, grant.project_id, batch_id)
    )
    if receipt is None:
        raise NotFound("There is no such batch.")
    return json_response(receipt)


async def _done(context: Context, project_id: UUID, batch_id: str) -> Receipt | None:
    if "\x00" in batch_id:
        return None
    async with context.reading() as connection:
        counts = await get_counts(connection, project_id, batch_id)
        if counts is None:
            return None
        rejected = await rejected_of_batch(connection, project_id, batch_id) if counts.rejected else []
    return _receipt(batch_id, counts, rejected)


def _receipt(batch_id: str, counts: Counts, rejected: Sequence[RejectedScore]) -> Receipt:
    return Receipt(
        batch_id=batch_id,
        status="done",
        accepted=counts.stored + counts.replaced + counts.unchanged + counts.rejected,
        stored=counts.stored,
        replaced=counts.replaced,
        unchanged=counts.unchanged,
        rejected=counts.rejected,
        rejections=[ReceiptRejection(one.index, one.score_id, one.code, one.detail) for one in rejected],
    )


async def _pending(context: Context, project_id: UUID, batch_id: str) -> Receipt | None:
    try:
        entry = await find(context.redis, batch_id)
    except (RedisError, OSError) as error:
        raise StoreUnavailable("The queue can't be reached.", code="queue_unavailable") from error
    if entry is None:
        return None
    try:
        envelope, scores = decode(entry.data)
    except UnreadableEnvelope:
        return None
    if envelope.project_id != project_id:
        return None
    return Receipt(batch_id=batch_id, status="pending", accepted=len(scores))


async def list_(request: Request, grant: Grant) -> Response:
    query = Query(request.query_params.multi_items())
    start, end = window(query)
    filters = RejectedFilters(
        code=tuple(query.all("code")),
        name=tuple(query.all("name")),
        batch_id=tuple(query.all("batch_id")),
        start=start,
        end=end,
    )
    limit = query.whole_number("limit", 1, LIMIT_MAX, LIMIT_DEFAULT)
    cursor = query.one("cursor")
    query.done()
    after = None if cursor is None else read_rejected_cursor(cursor)
    async with context_of(request).reading() as connection:
        found = await list_rejected(connection, grant.project_id, filters, after, limit + 1)
    items = found[:limit]
    next_cursor = None
    if len(found) > limit:
        last = items[-1]
        next_cursor = write_rejected_cursor(RejectedPosition(last.rejected_at, last.batch_id, last.index))
    return json_response(RejectedPage(items, next_cursor))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/batches/{batch_id}",
        handler=get_receipt,
        scope=Scope.SCORES_READ,
        tag="Batches",
        summary="The receipt of a batch",
        description="What became of the scores of one request: pending, or done with their counts and rejections.",
        answers={200: Receipt},
        problems=(401, 403, 404, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/rejected-scores",
        handler=list_,
        scope=Scope.SCORES_READ,
        tag="Rejected scores",
        summary="List rejected scores, newest first",
        query=(
            Parameter("code", str, "Only this code.", repeatable=True),
            Parameter("name", str, "Only this name.", repeatable=True),
            Parameter("batch_id", str, "Only this batch.", repeatable=True),
            Parameter("from", datetime, "Rejected at this time or later."),
            Parameter("to", datetime, "Rejected before this time."),
            Parameter("limit", Annotated[int, Meta(ge=1, le=LIMIT_MAX)], "How many at the most."),
            Parameter("cursor", str, "Where the previous page ended."),
        ),
        answers={200: RejectedPage},
        problems=(400, 401, 403, 503),
    ),
)
