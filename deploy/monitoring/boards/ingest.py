"""Are scores taken in, and how much room is left for more?"""

from deploy.monitoring.boards.queries import average, largest, quantile, rate, share
from deploy.monitoring.panels import Board, Panel, Query, Row

V1 = 'route=~"/v1/.+"'

REQUESTS = Row(
    "Requests",
    (
        Panel(
            "By status", "reqps", [Query(rate("assay_ingest_http_requests_total", "status", where=V1), "{{status}}")],
            "202 and 207 are accepted, 422 and 4xx are the sender's to mend, 503 is ours.", is_stacked=True,
        ),
        Panel(
            "Turned away", "percentunit",
            [Query(share("assay_ingest_http_requests_total", f'{V1}, status="503"', of=V1), "503")],
            alarm=0.01,
        ),
        Panel(
            "Time to answer", "s",
            [Query(quantile(rank, "assay_ingest_http_request_seconds", where=V1), f"p{rank * 100:g}")
             for rank in (0.5, 0.9, 0.99)],
            warn=0.25, alarm=1,
        ),
        Panel(
            "Where the time goes", "s",
            [
                Query(quantile(0.99, "assay_ingest_enqueue_seconds"), "from decoded to queued, p99"),
                Query(quantile(0.99, "assay_ingest_commit_seconds"), "one write to Redis, p99"),
                Query(quantile(0.5, "assay_ingest_commit_seconds"), "one write to Redis, p50"),
            ],
        ),
    ),
)  # fmt: skip

SCORES = Row(
    "Scores",
    (
        Panel(
            "Accepted and refused", "ops",
            [
                Query(rate("assay_ingest_scores_accepted_total"), "accepted"),
                Query(rate("assay_ingest_scores_refused_total", "code"), "{{code}}"),
            ],
            "Refused are malformed ones; docs/errors.md explains the codes.",
        ),
        Panel(
            "Sizes", "short",
            [
                Query(average("assay_ingest_batch_scores"), "scores of a request"),
                Query(average("assay_ingest_commit_entries"), "batches of one write to Redis"),
            ],
            "Averages.",
        ),
    ),
)  # fmt: skip

QUEUE = Row(
    "Queue",
    (
        Panel(
            "Oldest batch", "s", [Query(largest("assay_ingest_queue_oldest_seconds", "stream"), "{{stream}}")],
            "By shard; -bulk are those of projects that send more than their share.", warn=5, alarm=30,
        ),
        Panel(
            "Batches", "short", [Query(largest("assay_ingest_queue_entries", "stream"), "{{stream}}")], is_stacked=True
        ),
        Panel(
            "Against its limits", "percentunit",
            [Query(largest("assay_ingest_queue_used_ratio", "stream"), "{{stream}}")],
            "Of entries, bytes and age, what is nearest to its limit. At 100 % ingest answers 503.",
            warn=0.5, alarm=0.8,
        ),
        Panel("Bytes", "bytes", [Query(largest("assay_ingest_queue_bytes", "stream"), "{{stream}}")], is_stacked=True),
        Panel(
            "Batches to bulk streams", "ops", [Query(rate("assay_ingest_batches_flooded_total"), "flooded")],
            "Of projects that send more than their share.",
        ),
    ),
)  # fmt: skip

REDIS = Row(
    "Redis",
    (
        Panel(
            "Memory", "bytes",
            [
                Query(largest("assay_ingest_redis_used_bytes"), "used"),
                Query(largest("assay_ingest_redis_limit_bytes"), "limit"),
            ],
        ),
        Panel(
            "Durable", "short", [Query("min by (setting) (assay_ingest_redis_durable_ok)", "{{setting}}")],
            "0: a crash of Redis could lose what was accepted.", warn=1, alarm=0.5,
        ),
        Panel(
            "Batches not replicated", "ops", [Query(rate("assay_ingest_batches_unreplicated_total"), "503")],
            "Refused because too few replicas had them in time (ASSAY_QUEUE_REPLICAS).",
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "assay-ingest",
    "Assay: ingest",
    "Are scores taken in, and how much room is left for more?",
    (REQUESTS, SCORES, QUEUE, REDIS),
)
