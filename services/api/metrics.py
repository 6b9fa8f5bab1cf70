"""Every metric of the api."""

from shared.metrics import LATENCY_BUCKETS_SECONDS, HttpMetrics, PoolMetrics


class ApiMetrics(HttpMetrics):
    def __init__(self) -> None:
        super().__init__("api")
        register = self.register
        self.pool = PoolMetrics(register)
        self.pool_wait_seconds = register.histogram(
            "assay_api_pool_wait_seconds", "How long a request waited for a connection.",
            buckets=LATENCY_BUCKETS_SECONDS,
        )  # fmt: skip
        self.waiting_requests = register.gauge(
            "assay_api_waiting_requests", "Requests that wait for a receipt or a job (`?wait=`)."
        )
        self.behind_seconds = register.gauge(
            "assay_api_behind_seconds", "How far the stored scores are behind the received ones, at the worst stream."
        )
