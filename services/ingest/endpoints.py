"""`POST /v1/scores`: decode, queue, answer. The answer leaves only after the scores are in the queue (SPEC 5)."""

import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.body import body_of
from services.ingest.decode import Decoded, Refused, decode
from services.ingest.flood_gate import FloodGate
from services.ingest.group_commit import GroupCommit
from services.ingest.metrics import IngestMetrics
from services.ingest.queue_watch import QueueWatch
from services.ingest.settings import Settings
from shared.clock import utc_now
from shared.envelope import Envelope, encode
from shared.http.bodies import Bodies
from shared.http.endpoint import Endpoint
from shared.http.rate_limits import teller
from shared.http.request_id import request_id_of
from shared.http.responses import json_response
from shared.http.trace import trace_of
from shared.ids import uuid7s
from shared.keys import Grant, Scope
from shared.queue import batch_id_of, stream_of
from shared.queue_spans import attributes_of, attributes_of_batch, name_of
from shared.quotas import Quotas
from shared.scores import Score

if TYPE_CHECKING:
    from shared.spans import Tracer

# A usual score has 200 to 500 bytes. A heavier one counts as several in a flood: others wait as long as a worker takes,
# and that grows with the bytes too.
BYTES_OF_ONE_SCORE = 500


class ScoreBatch(Struct, forbid_unknown_fields=True):
    """1 to 1,000 scores."""

    scores: Annotated[list[Score], Meta(min_length=1)]


class BatchAnswer(Struct, kw_only=True):
    """What was queued and what was refused. `ids` are those of the accepted scores, in order; `batch_id` is the handle
    for the receipt, null when nothing was queued."""

    status: Literal["accepted", "partial", "rejected"]
    batch_id: str | None
    accepted: int
    rejected: int
    ids: list[str]
    errors: list[Refused]


class ScoreIntake:
    """What `POST /v1/scores` does, with what it needs for that."""

    def __init__(
        self,
        queue: GroupCommit,
        watch: QueueWatch,
        gate: FloodGate,
        quotas: Quotas,
        metrics: IngestMetrics,
        settings: Settings,
        tracer: "Tracer | None" = None,
    ) -> None:
        self._queue = queue
        self._watch = watch
        self._gate = gate
        self._quotas = quotas
        self._metrics = metrics
        self._settings = settings
        self._tracer = tracer
        self._bodies = Bodies(settings.body_bytes_max, settings.bodies_bytes_max, settings.body_seconds)

    async def take_in(self, request: Request, grant: Grant) -> Response:
        now = utc_now()
        async with body_of(request, self._bodies) as body:
            return await self._take_in(request, grant, body, now)

    async def _take_in(self, request: Request, grant: Grant, body: bytes, now: datetime) -> Response:
        decoded = decode(body, now, uuid7s, self._settings.batch_scores_max)
        batch_id = None
        if decoded.ids:
            trace = trace_of(request.scope)
            envelope = Envelope(
                request_id=request_id_of(request.scope),
                traceparent=trace and trace.traceparent,
                tracestate=trace and trace.tracestate,
                project_id=grant.project_id,
                received_at=now,
                ids=decoded.ids,
                indexes=decoded.indexes,
                scores=decoded.scores,
            )
            await self._quotas.take_scores(grant, len(decoded.ids), teller(request))
            batch_id = await self._queue_up(envelope)
        self._count(request, decoded, batch_id)
        return _answer(decoded, batch_id)

    async def _queue_up(self, envelope: Envelope) -> str:
        """The batch id. Where tracing is on, what the worker does with the batch becomes a child of a span of ours."""
        if self._tracer is None:
            return await self._enqueue(envelope)
        with self._tracer.span(name_of("send"), "producer", attributes_of("send")) as span:
            envelope.traceparent, envelope.tracestate = self._tracer.place_of(span)
            batch_id = await self._enqueue(envelope)
            span.set_attributes(attributes_of_batch(batch_id, envelope))
            return batch_id

    async def _enqueue(self, envelope: Envelope) -> str:
        started = time.perf_counter()
        data = encode(envelope)
        await self._watch.first_look()
        stream = self._stream_for(envelope)
        self._watch.check_room(stream, len(data))
        entry_id = await self._queue.add(stream, data)
        self._metrics.enqueue_seconds.observe(time.perf_counter() - started)
        return batch_id_of(stream, entry_id)

    def _stream_for(self, envelope: Envelope) -> int:
        is_flooding = self._gate.is_flooding(envelope.project_id, weight_of(envelope), time.monotonic())
        own = stream_of(envelope.project_id, self._settings.queue_shards)
        if not is_flooding or not self._watch.may_use_bulk(own):
            return own
        self._metrics.flooded.inc()
        return stream_of(envelope.project_id, self._settings.queue_shards, bulk=True)

    def _count(self, request: Request, decoded: Decoded, batch_id: str | None) -> None:
        if decoded.ids:
            self._metrics.accepted.inc(len(decoded.ids))
            self._metrics.batch_scores.observe(len(decoded.ids))
        for code, count in Counter(refused.code for refused in decoded.refused).items():
            self._metrics.refused.labels(code).inc(count)
        request.scope["assay.facts"] = {
            "batch_id": batch_id,
            "accepted": len(decoded.ids),
            "rejected": len(decoded.refused),
        }


def weight_of(envelope: Envelope) -> int:
    """How many scores a batch counts for in a flood."""
    return max(len(envelope.ids), len(envelope.scores) // BYTES_OF_ONE_SCORE)


def _answer(decoded: Decoded, batch_id: str | None) -> Response:
    status: Literal["accepted", "partial", "rejected"]
    status, code = ("accepted", 202) if not decoded.refused else ("partial", 207) if decoded.ids else ("rejected", 422)
    return json_response(
        BatchAnswer(
            status=status,
            batch_id=batch_id,
            accepted=len(decoded.ids),
            rejected=len(decoded.refused),
            ids=decoded.ids,
            errors=decoded.refused,
        ),
        code,
    )


async def take_in(request: Request, grant: Grant) -> Response:
    intake: ScoreIntake = request.app.state.intake
    return await intake.take_in(request, grant)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/scores",
        handler=take_in,
        needs=Scope.SCORES_WRITE,
        tag="Scores",
        summary="Take in a batch of scores",
        description="Accepted scores are queued durably before the answer leaves. A malformed item never sinks its "
        "neighbours: 202 when all are well formed, 207 when some are, 422 when none is. The body may be compressed "
        "(`Content-Encoding: gzip`).",
        body=ScoreBatch,
        answers={202: BatchAnswer, 207: BatchAnswer, 422: BatchAnswer},
        problems=(400, 401, 403, 408, 413, 415, 429, 503),
    ),
)
