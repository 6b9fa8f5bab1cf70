"""The spans of a transaction: one of its own, linked to every batch in it, and one in the trace of each batch.

So the trace of a sender leads to the worker, however many batches of others shared the transaction, and the way its
work took stands beside theirs.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.worker.batch import Batch
from shared.queue_spans import attributes_of, attributes_of_batch, name_of
from shared.trace_context import TraceContext

if TYPE_CHECKING:
    from shared.spans import Tracer


class TransactionSpans:
    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    @contextmanager
    def around(self, batches: Sequence[Batch]) -> Iterator[None]:
        """The block is the transaction, with every try; when it fails for good, only its own span tells it."""
        started_ns = time.time_ns()
        traced = [(batch, trace) for batch in batches if (trace := batch.envelope.trace) is not None]
        counts = {"assay.batches": len(batches), "assay.scores": sum(len(batch.scores) for batch in batches)}
        links = [trace for _, trace in traced]
        with self._tracer.span("persist scores", "internal", counts, links=links) as transaction:
            yield
            here = self._tracer.place_of(transaction)
        for batch, trace in traced:
            self._tell(batch, trace, here, started_ns)

    def _tell(self, batch: Batch, trace: TraceContext, transaction: TraceContext, started_ns: int) -> None:
        self._tracer.past_span(
            name_of("process"),
            "consumer",
            {**attributes_of("process"), **attributes_of_batch(batch.batch_id, batch.envelope)},
            parent=trace,
            links=[trace, transaction],
            started_ns=started_ns,
        )
