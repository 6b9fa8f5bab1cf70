"""Tracing with real processes and a real collector: one trace from the sender to the worker; without one, no harm."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders import a_score
from tests.system.collector import Collector, Span, running_collector
from tests.system.plant import Plant, running_plant
from tests.system.processes import ROOT, Service, free_port
from tests.waiting import wait_until

TRACE, SENDER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SENDER}-01"
HOUR_MS = "3600000"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture
def plant(database_url: str, redis_url: str, collector: Collector) -> Iterator[Plant]:
    settings = collector.settings
    with running_plant(database_url, redis_url, ingest=settings, worker=settings, api=settings) as running:
        yield running


async def arrived(collector: Collector, service: str, name: str, count: int = 1) -> list[Span]:
    await wait_until(lambda: len(collector.find(service, name)) >= count, what=f"{count} spans {name} of {service}")
    return collector.find(service, name)


async def test_one_trace_leads_from_the_sender_through_the_queue_to_the_worker(
    plant: Plant, collector: Collector
) -> None:
    batch_id = plant.send("r-1", a_score(), a_score(), traceparent=TRACEPARENT, tracestate="vendor=7")
    plant.worker.start()

    [request] = await arrived(collector, "assay-ingest", "POST /v1/scores")
    [sending] = await arrived(collector, "assay-ingest", "send assay:scores")
    [processing] = await arrived(collector, "assay-worker", "process assay:scores")

    assert [span.kind for span in (request, sending, processing)] == ["server", "producer", "consumer"]
    assert {span.trace_id for span in (request, sending, processing)} == {TRACE}
    assert [span.parent_id for span in (request, sending, processing)] == [SENDER, request.span_id, sending.span_id]
    assert processing.tracestate == "vendor=7"
    assert request.attributes["http.response.status_code"] == 202
    for span in (sending, processing):
        assert span.attributes["messaging.message.id"] == batch_id
        assert span.attributes["assay.request_id"] == "r-1"
        assert span.attributes["assay.scores"] == 2
    assert {line["trace_id"] for line in plant.lines_of("r-1")} == {TRACE}


async def test_a_transaction_is_linked_to_each_of_its_batches_and_each_batch_to_it(
    plant: Plant, collector: Collector
) -> None:
    for number in range(3):
        plant.send(f"r-{number}", a_score())
    plant.worker.start()

    processing = await arrived(collector, "assay-worker", "process assay:scores", 3)
    sending = await arrived(collector, "assay-ingest", "send assay:scores", 3)
    await wait_until(lambda: sum(t.attributes["assay.batches"] for t in transactions(collector)) == 3)

    assert len({span.trace_id for span in sending}) == 3
    links = [link for transaction in transactions(collector) for link in transaction.links]
    assert sorted(links) == sorted((span.trace_id, span.span_id) for span in sending)
    homes = {(transaction.trace_id, transaction.span_id) for transaction in transactions(collector)}
    assert all(homes & set(span.links) for span in processing)
    assert not {trace_id for trace_id, _ in homes} & {span.trace_id for span in sending}


def transactions(collector: Collector) -> list[Span]:
    return collector.find("assay-worker", "persist scores")


async def test_ingest_begins_a_trace_where_the_sender_has_none_that_is_valid(
    plant: Plant, collector: Collector
) -> None:
    plant.send("r-1", a_score())
    plant.send("r-2", a_score(), traceparent=f"00-{'0' * 32}-{SENDER}-01")
    plant.worker.start()

    requests = await arrived(collector, "assay-ingest", "POST /v1/scores", 2)
    processing = await arrived(collector, "assay-worker", "process assay:scores", 2)

    assert [span.parent_id for span in requests] == ["", ""]
    assert {span.trace_id for span in processing} == {span.trace_id for span in requests}
    assert len({span.trace_id for span in requests}) == 2
    for span in requests:
        lines = plant.lines_of(span.attributes["assay.request_id"])
        assert {line["trace_id"] for line in lines} == {span.trace_id}


async def test_a_worker_joins_the_senders_trace_where_ingest_is_not_traced(
    database_url: str, redis_url: str, collector: Collector
) -> None:
    with running_plant(database_url, redis_url, worker=collector.settings) as plant:
        plant.send("r-1", a_score(), traceparent=TRACEPARENT)
        plant.worker.start()

        [processing] = await arrived(collector, "assay-worker", "process assay:scores")

    assert (processing.trace_id, processing.parent_id) == (TRACE, SENDER)


async def test_a_trace_that_its_sender_does_not_sample_is_not_exported_and_keeps_its_id_in_the_logs(
    plant: Plant, collector: Collector
) -> None:
    plant.send("r-1", a_score(), traceparent=f"00-{TRACE}-{SENDER}-00")
    plant.send("r-2", a_score())
    plant.worker.start()

    await arrived(collector, "assay-worker", "process assay:scores")
    await wait_until(lambda: plant.persisted() == 2)
    assert [service.stop() for service in (plant.ingest, plant.worker)] == [0, 0]

    assert TRACE not in {span.trace_id for span in collector.spans}
    assert [line["trace_id"] for line in plant.lines_of("r-1")] == [TRACE, TRACE]


async def test_a_read_has_the_routes_template_as_its_name_and_postgres_below_it(
    plant: Plant, collector: Collector
) -> None:
    plant.api.start()
    plant.ask(plant.api, "GET", "/v1/traces/customer-17/scores", "r-1", traceparent=TRACEPARENT)
    plant.ask(plant.api, "GET", "/v1/scores/no-such-score", "r-2")

    [request] = await arrived(collector, "assay-api", "GET /v1/traces/{trace_id:id}/scores")
    [missed] = await arrived(collector, "assay-api", "GET /v1/scores/{id:id}")
    queries = await arrived(collector, "assay-api", "postgresql")

    assert (request.trace_id, request.parent_id) == (TRACE, SENDER)
    below = [span for span in queries if span.parent_id == request.span_id]
    assert {(span.kind, span.attributes["db.system.name"]) for span in below} == {("client", "postgresql")}
    assert all(request.seconds >= span.seconds > 0 for span in below)
    assert (missed.attributes["http.response.status_code"], missed.is_error) == (404, False)


async def test_a_request_that_fails_for_our_part_is_an_error_in_its_trace(plant: Plant, collector: Collector) -> None:
    full = {"ASSAY_QUEUE_ENTRIES_MAX": "1", **collector.settings}
    with Service("ingest", "", plant.ingest.redis_url, full) as ingest:
        answers = [plant.ask(ingest, "POST", "/v1/scores", f"r-{n}", {"scores": [a_score()]}) for n in range(2)]

        assert [answer.status_code for answer in answers] == [202, 503]
        requests = await arrived(collector, "assay-ingest", "POST /v1/scores", 2)
        sending = await arrived(collector, "assay-ingest", "send assay:scores", 2)

    failed = [span for span in (*requests, *sending) if span.is_error]
    assert [span.attributes["error.type"] for span in failed] == ["503", "QueueFull"]


async def test_health_and_metrics_are_not_traced(plant: Plant, collector: Collector) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        plant.ask(plant.ingest, "GET", path, "r-0", traceparent=TRACEPARENT)
    plant.send("r-1", a_score())

    await arrived(collector, "assay-ingest", "POST /v1/scores")

    assert {span.name for span in collector.spans} == {"POST /v1/scores", "send assay:scores"}


async def test_no_key_and_nothing_of_what_a_score_says_is_in_a_span(plant: Plant, collector: Collector) -> None:
    plant.send(
        "r-1", a_score(name="secret-name", value="secret-value", comment="secret-comment", metadata={"k": "secret"})
    )
    plant.api.start()
    plant.ask(plant.api, "GET", "/v1/scores/secret-id?comment=secret", "r-2")
    plant.ask(plant.ingest, "POST", "/v1/secret-path", "r-3")
    plant.worker.start()

    await arrived(collector, "assay-worker", "process assay:scores")
    await arrived(collector, "assay-api", "GET /v1/scores/{id:id}")
    await arrived(collector, "assay-ingest", "HTTP")

    assert not any(b"secret" in body or plant.key.encode() in body for body in collector.bodies)


async def test_without_a_collector_nothing_fails_and_the_log_says_so_once(database_url: str, redis_url: str) -> None:
    port = free_port()
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    away["OTEL_EXPORTER_OTLP_TIMEOUT"] = "3"
    with running_plant(database_url, redis_url, ingest=away, worker=away) as plant:
        plant.worker.start()
        for number in range(20):
            plant.send(f"r-{number}", a_score())
        await wait_until(lambda: plant.persisted() == 20)
        await wait_until(lambda: plant.ingest.has_logged("spans_not_exported"))
        await wait_until(lambda: plant.worker.has_logged("spans_not_exported"))

        with running_collector(port) as collector:
            plant.send("back", a_score())
            await arrived(collector, "assay-ingest", "POST /v1/scores")
            await wait_until(lambda: plant.ingest.has_logged("spans_exported_again"))

        [trouble] = [line for line in plant.ingest.logged() if is_trouble(line)]
        assert trouble["event"] == "spans_not_exported"
        assert str(port) in trouble["reason"]


def is_trouble(line: dict[str, Any]) -> bool:
    """The Redis of the tests is no durable one, and ingest says so."""
    return bool(line["level"] != "info" and line["event"] != "queue_not_durable")


async def test_at_a_stop_what_is_left_is_sent(database_url: str, redis_url: str, collector: Collector) -> None:
    late = {**collector.settings, "OTEL_BSP_SCHEDULE_DELAY": HOUR_MS}
    with running_plant(database_url, redis_url, ingest=late, worker=late, api=late) as plant:
        batch_id = plant.send("r-1", a_score())
        plant.worker.start()
        plant.api.start()
        plant.call(plant.api, "GET", f"/v1/batches/{batch_id}?wait=20", "r-2")
        await wait_until(lambda: plant.persisted() == 1)
        assert collector.spans == []

        assert [service.stop() for service in plant.services] == [0, 0, 0]

    assert {span.service for span in collector.spans} == {"assay-ingest", "assay-worker", "assay-api"}


async def test_a_collector_that_never_answers_fails_no_request_and_holds_up_no_stop(
    database_url: str, redis_url: str, collector: Collector
) -> None:
    collector.is_stalled = True
    patient = {
        **collector.settings,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3600",
        "OTEL_BSP_MAX_QUEUE_SIZE": "10",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5",
    }
    with running_plant(database_url, redis_url, ingest=patient) as plant:
        for number in range(50):
            plant.send(f"r-{number}", a_score())

        assert plant.ingest.stop() == 0  # `stop` has no patience for an hour

        assert plant.ingest.has_logged("spans_left_behind")
        assert [line["status"] for line in plant.ingest.logged() if line.get("route") == "/v1/scores"] == [202] * 50


async def test_the_standard_variables_name_the_service_and_decide_what_is_sampled(
    database_url: str, redis_url: str, collector: Collector
) -> None:
    named = {
        **collector.settings,
        "OTEL_SERVICE_NAME": "scores-in",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-token=let-me-in",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    with running_plant(database_url, redis_url, ingest=named) as plant:
        plant.send("r-1", a_score())
        plant.send("r-2", a_score(), traceparent=TRACEPARENT)

        [request] = await arrived(collector, "scores-in", "POST /v1/scores")
        assert plant.ingest.stop() == 0

    assert request.trace_id == TRACE
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert collector.headers[0]["x-token"] == "let-me-in"


BEGUN = """
import os, sys
import services.api.__main__, services.ingest.__main__, services.worker.__main__
from shared.logs import configure_logs
from shared.tracing import open_tracer
configure_logs("ingest", "json")
with open_tracer("ingest", os.environ) as tracer:
    print(tracer is not None, "opentelemetry" in sys.modules, "google.protobuf" in sys.modules, file=sys.stderr)
"""
NOWHERE = "http://127.0.0.1:1"


def begin(settings: dict[str, str]) -> tuple[bool, bool, str]:
    """Whether a process with these settings has a tracer, whether it has loaded OpenTelemetry, and its log."""
    environment = {"PATH": os.environ["PATH"], **settings}
    done = subprocess.run(
        [sys.executable, "-c", BEGUN], cwd=ROOT, env=environment, capture_output=True, check=True, text=True
    )
    has_tracer, *loaded = (word == "True" for word in done.stderr.split())
    assert len(set(loaded)) == 1
    return has_tracer, loaded[0], done.stdout


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"OTEL_SERVICE_NAME": "ingest"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE, "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE, "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=str,
)
def test_nothing_of_opentelemetry_is_loaded_where_it_is_not_wanted(settings: dict[str, str]) -> None:
    assert begin(settings) == (False, False, "")


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_an_endpoint_is_all_that_is_needed(variable: str) -> None:
    assert begin({variable: NOWHERE}) == (True, True, "")


@pytest.mark.parametrize(
    "settings",
    [{"OTEL_TRACES_EXPORTER": "console"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}],
    ids=str,
)
def test_what_can_not_be_had_is_told_and_the_service_starts_all_the_same(settings: dict[str, str]) -> None:
    has_tracer, _, log = begin({"OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE, **settings})

    assert not has_tracer
    assert '"event":"tracing_not_started"' in log
