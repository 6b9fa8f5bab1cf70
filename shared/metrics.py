"""The register of one service's metrics: each is declared before it is used, with its labels, or it does not exist.

A service's `metrics.py` declares its own as attributes of one object; a name that is not declared is an AttributeError
(and an error of mypy before that). Labels take few values: never a project, a trace or a key.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZE_BUCKETS = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000)


class Register:
    """A process's own registry, so that two services in one test process do not meet in a global one."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

    def counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self._registry)

    def gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, registry=self._registry)

    def histogram(self, name: str, help_text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, help_text, labels, buckets=buckets, registry=self._registry)

    def exposition(self) -> bytes:
        return generate_latest(self._registry)


class HttpMetrics:
    """What both HTTP services count about requests; declared here so that they agree on the names."""

    def __init__(self, register: Register) -> None:
        self.requests = register.counter("assay_http_requests_total", "Requests answered.", "method", "route", "status")
        self.request_seconds = register.histogram(
            "assay_http_request_seconds", "Time to answer, by route.", "route", buckets=LATENCY_BUCKETS_SECONDS
        )
