"""Every metric of the api."""

from shared.metrics import HttpMetrics, Register


class ApiMetrics(HttpMetrics):
    def __init__(self, register: Register) -> None:
        super().__init__(register)
        self.register = register
        self.pool_size = register.gauge("assay_api_pool_connections", "Postgres connections open.")
        self.pool_idle = register.gauge("assay_api_pool_idle", "Postgres connections that are idle.")
        self.behind_seconds = register.gauge(
            "assay_api_behind_seconds", "How far the stored scores are behind the received ones, at the worst shard."
        )
