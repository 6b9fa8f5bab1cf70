"""The register of one service's metrics: each is declared before it is used, with its labels, or it does not exist.

A service's `metrics.py` declares its own as attributes of one object; a name that is not declared is an AttributeError
(and an error of mypy before that). The register refuses names that are not of the form `assay_<service>_<what>_<unit>`
and labels that are not in `LABELS`. Tables, dashboards and alert rules are made from it or checked against it.
"""

import re
from collections.abc import Iterable
from typing import Literal, Protocol

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client import disable_created_metrics as _disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from shared.version import VERSION

Service = Literal["ingest", "worker", "api"]
Kind = Literal["counter", "gauge", "histogram"]

LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LAG_BUCKETS_SECONDS = (*LATENCY_BUCKETS_SECONDS, 60.0, 300.0, 1800.0, 7200.0)
SIZE_BUCKETS = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000)

# The last word of a name. Counters end in `total`, what is 1 or 0 in `ok`.
UNITS = {
    "total", "seconds", "bytes", "ratio", "info", "ok", "scores", "entries", "connections", "requests", "differences",
}  # fmt: skip

# Never a project, a trace or a key: every value is a time series of its own, kept for as long as the process lives.
# Not `job` or `instance` either, which Prometheus gives to every series itself.
LABELS = {
    "code": "a code of [errors.md](errors.md)",
    "kind": "a kind of background job",
    "method": "the HTTP method, `other` where it is none that we know",
    "outcome": "what became of a score: stored, replaced, unchanged, rejected",
    "part": "`queue` (Redis) or `store` (PostgreSQL)",
    "pool": "the connections that a process shares out: `api`, `worker`, and `jobs` for what a worker does besides",
    "reason": "the kind of error; of connections, [why](#connections)",
    "result": "of a schedule: done, failed; of a look-up: hit, miss",
    "route": "the template of the path, `unmatched` for paths that nobody knows",
    "schedule": "a [schedule](#jobs)",
    "setting": "a [setting of Redis](#redis), and `aof_last_write` for its last write to disk",
    "state": "how a background job ended: done, failed",
    "status": "the HTTP status",
    "stream": "the number of a shard, and `3-bulk` for the bulk stream of shard 3",
    "version": "the release",
    "way": "how a transaction wrote: straight, careful",
}

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NAME = re.compile(r"assay_(?P<service>[a-z]+)(?:_[a-z]+)+")


class Metric(Struct, frozen=True):
    """A metric as it was declared."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str

    @property
    def series(self) -> dict[str, tuple[str, ...]]:
        """What stands on the page of metrics, and with which labels."""
        if self.kind != "histogram":
            return {self.name: self.labels}
        return {
            f"{self.name}_bucket": (*self.labels, "le"),
            f"{self.name}_sum": self.labels,
            f"{self.name}_count": self.labels,
        }


class Register:
    """A process's own registry, so that two services in one test process do not meet in a global one."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, service: Service) -> None:
        _disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each that nobody reads
        self.service = service
        self.metrics: list[Metric] = []
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)

    def counter(self, name: str, help_text: str, *labels: str) -> Counter:
        self._declare(Metric(name, "counter", labels, help_text))
        return Counter(name, help_text, labels, registry=self._registry)

    def gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        self._declare(Metric(name, "gauge", labels, help_text))
        return Gauge(name, help_text, labels, registry=self._registry)

    def histogram(self, name: str, help_text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
        self._declare(Metric(name, "histogram", labels, help_text))
        return Histogram(name, help_text, labels, buckets=buckets, registry=self._registry)

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def _declare(self, metric: Metric) -> None:
        """Raises `ValueError` for a name or a label that is not as agreed."""
        named = _NAME.fullmatch(metric.name)
        unit = metric.name.rpartition("_")[2]
        if named is None or named["service"] != self.service or unit not in UNITS:
            raise ValueError(f"not of the form assay_{self.service}_<what>_<unit>: {metric.name}")
        if (unit == "total") != (metric.kind == "counter"):
            raise ValueError(f"a counter, and nothing else, ends in _total: {metric.name}")
        if unknown := set(metric.labels) - LABELS.keys():
            raise ValueError(f"{metric.name} has labels that are not in LABELS: {', '.join(sorted(unknown))}")
        self.metrics.append(metric)


class ServiceMetrics:
    """What every service says of itself."""

    def __init__(self, service: Service) -> None:
        self.register = Register(service)
        self.part_ok = self.register.gauge(
            f"assay_{service}_part_ok", "Whether a part answered when it was last looked at: 1, or 0.", "part"
        )
        build = self.register.gauge(f"assay_{service}_build_info", "Always 1; the label tells the release.", "version")
        build.labels(VERSION).set(1)


class HttpMetrics(ServiceMetrics):
    """What both HTTP services count about requests."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        labels = ("method", "route", "status")
        self.requests = self.register.counter(f"assay_{service}_http_requests_total", "Requests answered.", *labels)
        self.request_seconds = self.register.histogram(
            f"assay_{service}_http_request_seconds", "Time to answer.", *labels, buckets=LATENCY_BUCKETS_SECONDS
        )
        self.connections = self.register.gauge(f"assay_{service}_http_connections", "Connections open.")
        self.connections_cut = self.register.counter(
            f"assay_{service}_http_connections_cut_total",
            "Connections cut off, and requests refused before they were read, by [reason](#connections).",
            "reason",
        )
        self.connections_cut.labels("no_room")  # from 0: see `expect_failures`
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. The series are looked up once for both: that is 1 µs of each request in place of 3."""
        key = (method if method in _METHODS else "other", route, status)
        series = self._known.get(key)
        if series is None:
            series = self._known[key] = (self.requests.labels(*key), self.request_seconds.labels(*key))
        requests, request_seconds = series
        requests.inc()
        request_seconds.observe(seconds)

    def expect_failures(self, endpoints: Iterable[tuple[str, str]]) -> None:
        """Count from 0 what must not happen to these (method, route): a series that begins with its first failure
        shows no increase."""
        for method, route in endpoints:
            for status in (500, 503):
                self.requests.labels(method, route, status)


class Pool(Protocol):
    """As much of asyncpg's as is told; ingest, which has this module too, never opens PostgreSQL."""

    def get_size(self) -> int: ...

    def get_idle_size(self) -> int: ...

    def get_max_size(self) -> int: ...


class PoolMetrics:
    """The use of connections to PostgreSQL, as it is when the page of metrics is read."""

    def __init__(self, register: Register) -> None:
        name = f"assay_{register.service}_pool"
        self._open = register.gauge(f"{name}_connections", "PostgreSQL connections open.", "pool")
        self._idle = register.gauge(f"{name}_idle_connections", "Those of them that nobody uses.", "pool")
        self._limit = register.gauge(f"{name}_limit_connections", "PostgreSQL connections allowed.", "pool")

    def watch(self, label: str, pool: Pool) -> None:
        self._open.labels(label).set_function(pool.get_size)
        self._idle.labels(label).set_function(pool.get_idle_size)
        self._limit.labels(label).set_function(pool.get_max_size)
