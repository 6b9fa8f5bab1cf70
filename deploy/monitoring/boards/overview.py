"""Is all well? If not, in which service?"""

from deploy.monitoring.boards.queries import largest, quantile, rate
from deploy.monitoring.panels import Board, Panel, Query, Row

OURS = 'job=~"assay-(ingest|worker|api)"'
V1 = 'route=~"/v1/.+"'

NOW = Row(
    "Now",
    (
        Panel(
            "Alerts", "short", [Query('count(ALERTS{alertname=~"Assay.+", alertstate="firing"}) or vector(0)')],
            "How many fire. docs/runbook.md has an entry for each.", alarm=1, is_figure=True,
        ),
        Panel(
            "Processes down", "short", [Query(f"count(up{{{OURS}}} == 0) or vector(0)")], alarm=1, is_figure=True
        ),
        Panel(
            "Oldest in the queue", "s",
            [Query(largest("assay_ingest_queue_oldest_seconds", where='stream!~".+-bulk"'))],
            "But for bulk streams, whose projects send more than their share.", warn=5, alarm=30, is_figure=True,
        ),
        Panel("Reads are behind by", "s", [Query(largest("assay_api_behind_seconds"))], warn=30, alarm=300,
              is_figure=True),
        Panel("Dead letters", "short", [Query(f"sum({largest('assay_worker_dead_letter_entries', 'stream')})")],
              "Batches that wait for an operator.", alarm=1, is_figure=True),
        Panel("Queue against its limits", "percentunit", [Query(largest("assay_ingest_queue_used_ratio"))],
              "At 100 % ingest answers 503.", warn=0.5, alarm=0.8, is_figure=True),
    ),
)  # fmt: skip

SCORES = Row(
    "Scores",
    (
        Panel(
            "Scores a second", "ops",
            [
                Query(rate("assay_ingest_scores_accepted_total"), "accepted"),
                Query(rate("assay_ingest_scores_refused_total"), "refused as malformed"),
                Query(rate("assay_worker_scores_total", "outcome"), "{{outcome}}"),
            ],
            "Accepted by ingest, and what became of them in the worker.",
        ),
        Panel(
            "From received to readable", "s",
            [Query(quantile(rank, "assay_worker_visible_seconds"), f"p{rank * 100:g}") for rank in (0.5, 0.9, 0.99)],
            warn=1, alarm=30,
        ),
    ),
)  # fmt: skip

REQUESTS = Row(
    "Requests",
    (
        Panel(
            "Requests a second", "reqps",
            [
                Query(rate("assay_ingest_http_requests_total", "status", where=V1), "ingest {{status}}"),
                Query(rate("assay_api_http_requests_total", "status", where=V1), "api {{status}}"),
            ],
        ),
        Panel(
            "Time to answer", "s",
            [
                Query(quantile(0.5, "assay_ingest_http_request_seconds", where=V1), "ingest p50"),
                Query(quantile(0.99, "assay_ingest_http_request_seconds", where=V1), "ingest p99"),
                Query(quantile(0.5, "assay_api_http_request_seconds", where=V1), "api p50"),
                Query(quantile(0.99, "assay_api_http_request_seconds", where=V1), "api p99"),
            ],
            "Requests that wait for a receipt or a job are among those of the api.",
        ),
    ),
)  # fmt: skip

PROCESSES = Row(
    "Processes",
    (
        Panel("Answering", "short", [Query(f"sum by (job) (up{{{OURS}}})", "{{job}}")], is_stacked=True),
        Panel(
            "Releases", "short",
            [
                Query(f"count by (version) (assay_{service}_build_info)", f"{service} {{{{version}}}}")
                for service in ("ingest", "worker", "api")
            ],
            is_stacked=True,
        ),
        Panel(
            "Cores in use", "short",
            [Query(rate("process_cpu_seconds_total", "job", "instance", where=OURS), "{{job}} {{instance}}")],
            "A process uses one at most.", warn=0.8, alarm=0.95,
        ),
        Panel(
            "Connections", "short",
            [
                Query("assay_ingest_http_connections", "ingest {{instance}}"),
                Query("assay_api_http_connections", "api {{instance}}"),
            ],
            "Open ones of clients, idle or not.",
        ),
        Panel(
            "Connections cut off", "ops",
            [
                Query(rate("assay_ingest_http_connections_cut_total", "reason"), "ingest {{reason}}"),
                Query(rate("assay_api_http_connections_cut_total", "reason"), "api {{reason}}"),
            ],
            "Clients that keep too many, or keep them waiting.", is_stacked=True,
        ),
        Panel(
            "Memory", "bytes",
            [Query(f"process_resident_memory_bytes{{{OURS}}}", "{{job}} {{instance}}")],
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "assay-overview",
    "Assay",
    "Is all well? If not, in which service?",
    (NOW, SCORES, REQUESTS, PROCESSES),
)
