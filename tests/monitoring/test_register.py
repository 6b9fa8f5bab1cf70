"""What is not registered does not exist, and what is registered has a name and labels as agreed."""

import pytest

from services.api.metrics import ApiMetrics
from services.ingest.metrics import IngestMetrics
from services.worker.metrics import WorkerMetrics
from shared.metrics import LABELS, HttpMetrics, Register, ServiceMetrics

ALL: tuple[ServiceMetrics, ...] = (IngestMetrics(), WorkerMetrics(), ApiMetrics())


@pytest.mark.parametrize("metrics", ALL, ids=lambda one: one.register.service)
def test_a_name_that_is_not_registered_is_refused(metrics: ServiceMetrics) -> None:
    with pytest.raises(AttributeError):
        metrics.scores_forgotten.inc()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    ["scores_total", "assay_total", "assay_api_scores_total", "assay_ingest_scores_ms",
     "assay_ingest_Scores_total", "assay_ingest__total", "Assay_ingest_scores_total", "assay_ingest_scores_total\n"],
)  # fmt: skip
def test_a_name_that_is_not_as_agreed_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        Register("ingest").counter(name, "Scores.")


def test_what_only_grows_ends_in_total_and_nothing_else_does() -> None:
    register = Register("ingest")

    with pytest.raises(ValueError, match="_total"):
        register.gauge("assay_ingest_scores_total", "Scores.")
    with pytest.raises(ValueError, match="_total"):
        register.counter("assay_ingest_queue_bytes", "Bytes.")


@pytest.mark.parametrize("label", ["project", "trace_id", "key", "job", "instance", "le"])
def test_a_label_that_is_not_agreed_on_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match=label):
        Register("ingest").counter("assay_ingest_scores_total", "Scores.", "code", label)


def test_a_name_is_registered_once() -> None:
    register = Register("ingest")
    register.counter("assay_ingest_scores_total", "Scores.")

    with pytest.raises(ValueError, match="assay_ingest_scores"):
        register.counter("assay_ingest_scores_total", "Scores.")


def test_every_agreed_label_is_in_use() -> None:
    used = {label for metrics in ALL for metric in metrics.register.metrics for label in metric.labels}

    assert used == set(LABELS)


def test_a_histogram_has_the_series_of_one() -> None:
    register = HttpMetrics("api").register
    [latency] = [metric for metric in register.metrics if metric.name == "assay_api_http_request_seconds"]

    assert latency.series == {
        "assay_api_http_request_seconds_bucket": ("method", "route", "status", "le"),
        "assay_api_http_request_seconds_sum": ("method", "route", "status"),
        "assay_api_http_request_seconds_count": ("method", "route", "status"),
    }
