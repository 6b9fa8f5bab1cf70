"""Are reads answered, how soon, and what is PostgreSQL busy with?"""

from deploy.monitoring.boards.queries import largest, quantile, rate, share
from deploy.monitoring.panels import Board, Panel, Query, Row

V1 = 'route=~"/v1/.+"'
AT_ONCE = 'route=~"/v1/.+", route!~"/v1/(batches|jobs).*"'  # who asks for the others may want to wait (?wait=)

REQUESTS = Row(
    "Requests",
    (
        Panel(
            "By status", "reqps", [Query(rate("assay_api_http_requests_total", "status", where=V1), "{{status}}")],
            is_stacked=True,
        ),
        Panel(
            "By route", "reqps",
            [Query(rate("assay_api_http_requests_total", "method", "route", where=V1), "{{method}} {{route}}")],
            is_stacked=True,
        ),
        Panel(
            "Time to answer", "s",
            [Query(quantile(rank, "assay_api_http_request_seconds", where=AT_ONCE), f"p{rank * 100:g}")
             for rank in (0.5, 0.9, 0.99)],
            "But for receipts and jobs: who asks for those may want to wait.", warn=0.5, alarm=2.5,
        ),
        Panel(
            "Time to answer, by route, p99", "s",
            [Query(quantile(0.99, "assay_api_http_request_seconds", "method", "route", where=V1),
                   "{{method}} {{route}}")],
        ),
        Panel(
            "Turned away", "percentunit",
            [Query(share("assay_api_http_requests_total", f'{V1}, status="503"', of=V1), "503")],
            alarm=0.05,
        ),
        Panel(
            "Failed for a reason nobody expected", "short",
            [Query('sum by (route) (increase(assay_api_http_requests_total{status="500"}[15m])) > 0', "{{route}}")],
            "500s of the last quarter of an hour.", alarm=1,
        ),
        Panel("Waiting for a receipt or a job", "short", [Query("sum(assay_api_waiting_requests)", "requests")]),
    ),
)  # fmt: skip

STORE = Row(
    "Store",
    (
        Panel(
            "Connections to PostgreSQL", "short",
            [
                Query("assay_api_pool_connections - assay_api_pool_idle_connections", "{{instance}} in use"),
                Query("assay_api_pool_limit_connections", "{{instance}} allowed"),
            ],
        ),
        Panel(
            "Wait for a connection", "s",
            [Query(quantile(rank, "assay_api_pool_wait_seconds"), f"p{rank * 100:g}") for rank in (0.5, 0.99)],
            warn=0.1, alarm=1,
        ),
        Panel(
            "Reads are behind by", "s", [Query(largest("assay_api_behind_seconds", "instance"), "{{instance}}")],
            "What is received, and not yet stored.", warn=30, alarm=300,
        ),
        Panel(
            "Parts that answer", "short",
            [
                Query("min by (part) (assay_api_part_ok)", "api {{part}}"),
                Query("min by (part) (assay_worker_part_ok)", "worker {{part}}"),
                Query("min by (part) (assay_ingest_part_ok)", "ingest {{part}}"),
            ],
            "store is PostgreSQL, queue is Redis; 0 where one process gets no answer.", warn=1, alarm=0.5,
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "assay-api",
    "Assay: api and store",
    "Are reads answered, how soon, and what is PostgreSQL busy with?",
    (REQUESTS, STORE),
)
