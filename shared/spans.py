"""Spans of Assay, named by OpenTelemetry's semantic conventions, from a request to the transaction that holds it.

Imported only where tracing is on (`shared.tracing`). A span never holds what a score says, a key or an exception's
text: only the attributes that docs/operating.md lists.
"""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors import AssayError, TryLater
from shared.trace_context import TraceContext
from shared.version import VERSION

log = structlog.get_logger()

_REASON_LENGTH_MAX = 200
_EXPORTER_LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_propagator = TraceContextTextMapPropagator()

Kind = Literal["server", "producer", "consumer", "internal", "client"]
Attributes = Mapping[str, str | int | bool]

_KINDS: dict[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
}


class Tracer:
    """Makes the spans of one process and exports them from a thread of its own, in batches: who ends a span never
    waits, and what the collector does not take in time is dropped."""

    def __init__(self, service: str) -> None:
        """Reads OpenTelemetry's variables from the environment. Raises `ValueError` for what makes no sense there."""
        resource = Resource({SERVICE_NAME: f"assay-{service}", SERVICE_VERSION: VERSION})
        # Ours are only defaults: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES decide.
        named = Resource.create().merge(resource).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_TellingExporter(OTLPSpanExporter())))
        self._tracer = self._provider.get_tracer("assay", VERSION)

    def close(self, seconds: float) -> bool:
        """Send what is left, for so long at most. Whether it was all sent, or given up by the exporter, by then."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(seconds)
        return not closing.is_alive()

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        *,
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
    ) -> Iterator[Span]:
        """A span that is the current one until the end of the block, and fails with it. Its parent is the one given,
        else the current one, else it begins a trace."""
        context = None if parent is None else _context_of(parent)
        span = self._tracer.start_span(name, context, _KINDS[kind], attributes, _links(links))
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                if _is_failure(error):
                    span.set_status(StatusCode.ERROR)
                raise

    def past_span(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        *,
        parent: TraceContext,
        links: Sequence[TraceContext],
        started_ns: int,
    ) -> None:
        """One that ends now and began at a time (ns since 1970) when it was not yet known what it would be."""
        context = _context_of(parent)
        self._tracer.start_span(name, context, _KINDS[kind], attributes, _links(links), started_ns).end()

    @staticmethod
    def fail(span: Span, error_type: str) -> None:
        """`error_type` is a word of few values."""
        span.set_attribute("error.type", error_type)
        span.set_status(StatusCode.ERROR)

    @staticmethod
    def place_of(span: Span) -> TraceContext:
        """To hand on: what is done under it elsewhere becomes its child."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(span))
        return TraceContext(carrier["traceparent"], carrier.get("tracestate"))


def _is_failure(error: BaseException) -> bool:
    """An expected outcome, such as a 404, is none."""
    return not isinstance(error, AssayError) or isinstance(error, TryLater)


def _links(places: Sequence[TraceContext]) -> list[Link]:
    return [Link(trace.get_current_span(_context_of(place)).get_span_context()) for place in places]


def _context_of(place: TraceContext) -> Context:
    carrier = {"traceparent": place.traceparent}
    if place.tracestate is not None:
        carrier["tracestate"] = place.tracestate
    return _propagator.extract(carrier, Context())


class _TellingExporter(SpanExporter):
    """Says once that spans are lost, and once that they are taken again, where the library says it for each batch."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_failing = False
        self._said = _LastSaid()
        logging.getLogger(_EXPORTER_LOGGER).addFilter(self._said)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._said.text = ""
        result = self._exporter.export(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            log.warning("spans_not_exported", spans=len(spans), reason=self._said.text)
        if self._is_failing and not is_failing:
            log.info("spans_exported_again")
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _LastSaid(logging.Filter):
    """Keeps the first thing that the library says of a failure, which names its cause, and lets nothing through."""

    text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.text = self.text or record.getMessage()[:_REASON_LENGTH_MAX]
        return False
