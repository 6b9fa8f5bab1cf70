"""`GET /v1/batches/{batch_id}`: the receipt of a batch."""

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from services.api.context import Context, context_of, query_of
from services.api.queries.receipts import Counts, get_counts
from services.api.queries.rejected import RejectedScore, rejected_of_batch
from shared.dead_letters import address_in
from shared.envelope import Address, address_of
from shared.errors import NotFound, StoreUnavailable
from shared.http.endpoint import Endpoint, Parameter
from shared.http.responses import json_response
from shared.keys import Grant, Scope
from shared.queue import find

WAIT_SECONDS_MAX = 30
BURIED = "No worker could read or write this batch. It is kept whole, and waits for an operator."


class ReceiptRejection(Struct):
    """`index` is the score's place in the request."""

    index: int
    id: str
    code: str
    pointer: str
    detail: str


class Receipt(Struct, kw_only=True):
    """What became of a batch. While it is pending, only `accepted` is known; `detail` says so when it waits for an
    operator. A replayed score moves from `rejected` to what became of it then."""

    batch_id: str
    status: Literal["pending", "done"]
    accepted: int
    stored: int | None = None
    replaced: int | None = None
    unchanged: int | None = None
    rejected: int | None = None
    rejections: Sequence[ReceiptRejection] = ()
    detail: str | None = None


async def get(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    seconds = query.whole_number("wait", 0, WAIT_SECONDS_MAX, 0)
    query.done()
    context, batch_id = context_of(request), request.path_params["batch_id"]

    async def look() -> Receipt:
        return await _receipt(context, grant.project_id, batch_id)

    receipt = await context.waiters.wait(await look(), look, lambda found: found.status == "done", seconds)
    return json_response(receipt)


async def _receipt(context: Context, project_id: UUID, batch_id: str) -> Receipt:
    """The queue is asked between two looks at the store: a batch that leaves the queue is in the store by then."""
    receipt = (
        await _done(context, project_id, batch_id)
        or await _in_redis(context, project_id, batch_id)
        or await _done(context, project_id, batch_id)
    )
    if receipt is None:
        raise NotFound("There is no such batch.")
    return receipt


async def _done(context: Context, project_id: UUID, batch_id: str) -> Receipt | None:
    if "\x00" in batch_id:
        return None
    async with context.reading(project_id) as connection:
        counts = await get_counts(connection, project_id, batch_id)
        if counts is None:
            return None
        rejected = await rejected_of_batch(connection, project_id, batch_id) if counts.rejected else []
    return _done_receipt(batch_id, counts, rejected)


def _done_receipt(batch_id: str, counts: Counts, rejected: Sequence[RejectedScore]) -> Receipt:
    return Receipt(
        batch_id=batch_id,
        status="done",
        accepted=counts.stored + counts.replaced + counts.unchanged + counts.rejected,
        stored=counts.stored,
        replaced=counts.replaced,
        unchanged=counts.unchanged,
        rejected=counts.rejected,
        rejections=[ReceiptRejection(one.index, one.score_id, one.code, one.pointer, one.detail) for one in rejected],
    )


async def _in_redis(context: Context, project_id: UUID, batch_id: str) -> Receipt | None:
    """The dead letters are asked after the queue: that is the way a batch goes."""
    try:
        entry = await find(context.redis, batch_id)
        if entry is not None:
            return _pending(project_id, batch_id, address_of(entry.data))
        address = await address_in(context.redis, batch_id)
    except (RedisError, OSError) as error:
        raise StoreUnavailable("The queue can't be reached.", code="queue_unavailable") from error
    return None if address is None else _pending(project_id, batch_id, address, BURIED)


def _pending(project_id: UUID, batch_id: str, address: Address, detail: str | None = None) -> Receipt | None:
    if address.project_id != project_id:
        return None
    return Receipt(batch_id=batch_id, status="pending", accepted=len(address.ids or ()), detail=detail)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/batches/{batch_id}",
        handler=get,
        needs=Scope.SCORES_READ,
        tag="Batches",
        summary="The receipt of a batch",
        description="What became of the scores of one request: pending, or done with their counts and rejections.",
        query=(
            Parameter(
                "wait",
                Annotated[int, Meta(ge=0, le=WAIT_SECONDS_MAX)],
                "Seconds to wait for a pending batch; the answer comes as soon as it is done.",
            ),
        ),
        answers={200: Receipt},
        problems=(400, 401, 403, 404, 503),
    ),
)
