"""Are scores stored, and how soon? Do schedules and background jobs run?"""

from deploy.monitoring.boards.queries import average, largest, quantile, rate, share
from deploy.monitoring.panels import Board, Panel, Query, Row

SCORES = Row(
    "Scores",
    (
        Panel(
            "What became of them", "ops", [Query(rate("assay_worker_scores_total", "outcome"), "{{outcome}}")],
            is_stacked=True,
        ),
        Panel(
            "Rejected", "ops", [Query(rate("assay_worker_scores_rejected_total", "code"), "{{code}}")],
            "By the rule they break; docs/errors.md explains the codes.", is_stacked=True,
        ),
        Panel(
            "From received to readable", "s",
            [Query(quantile(rank, "assay_worker_visible_seconds"), f"p{rank * 100:g}") for rank in (0.5, 0.9, 0.99)],
            warn=1, alarm=30,
        ),
        Panel(
            "Dead letters", "short", [Query(largest("assay_worker_dead_letter_entries", "stream"), "{{stream}}")],
            "Batches that wait for an operator.", alarm=1, is_stacked=True,
        ),
    ),
)  # fmt: skip

QUEUE = Row(
    "Queue",
    (
        Panel(
            "Oldest batch", "s", [Query(largest("assay_worker_queue_oldest_seconds", "stream"), "{{stream}}")],
            warn=5, alarm=30,
        ),
        Panel(
            "Batches", "short", [Query(largest("assay_worker_queue_entries", "stream"), "{{stream}}")],
            is_stacked=True,
        ),
        Panel(
            "Batches in a worker's hands", "short",
            [Query(largest("assay_worker_queue_pending_entries", "stream"), "{{stream}}")],
            "Given to a worker and not yet stored.", is_stacked=True,
        ),
        Panel(
            "Taken over", "ops", [Query(rate("assay_worker_claimed_total"), "entries")],
            "From workers that died or stand still.",
        ),
    ),
)  # fmt: skip

TRANSACTIONS = Row(
    "Transactions",
    (
        Panel(
            "Time of a transaction", "s",
            [
                Query(quantile(0.5, "assay_worker_transaction_seconds", "way"), "{{way}} p50"),
                Query(quantile(0.99, "assay_worker_transaction_seconds", "way"), "{{way}} p99"),
                Query(quantile(0.99, "assay_worker_commit_seconds"), "its commit p99"),
            ],
            "Straight where every score is new, careful where one replaces another or PostgreSQL refuses one.",
        ),
        Panel(
            "Scores of a transaction", "short",
            [
                Query(average("assay_worker_transaction_scores"), "average"),
                Query(quantile(0.99, "assay_worker_transaction_scores"), "p99"),
            ],
        ),
        Panel(
            "Transactions a second", "ops",
            [Query(rate("assay_worker_transaction_seconds_count", "way"), "{{way}}")], is_stacked=True,
        ),
        Panel(
            "Tried again", "ops", [Query(rate("assay_worker_retries_total", "reason"), "{{reason}}")],
            "What stands in the way, by the kind of error.", is_stacked=True,
        ),
        Panel(
            "Rules found in the cache", "percentunit",
            [Query(share("assay_worker_config_cache_total", 'result="hit"'), "hits")],
        ),
        Panel(
            "Connections to PostgreSQL", "short",
            [
                Query("sum by (pool) (assay_worker_pool_connections - assay_worker_pool_idle_connections)",
                      "{{pool}} in use"),
                Query("sum by (pool) (assay_worker_pool_limit_connections)", "{{pool}} allowed"),
            ],
        ),
    ),
)  # fmt: skip

JOBS = Row(
    "Jobs",
    (
        Panel(
            "Since a schedule succeeded", "dtdurations",
            [Query(f"time() - {largest('assay_worker_schedule_success_timestamp_seconds', 'schedule')}",
                   "{{schedule}}")],
            "Each has an interval of its own: seconds, an hour, a day.",
        ),
        Panel(
            "Runs of schedules that failed", "ops",
            [Query(rate("assay_worker_schedule_runs_total", "schedule", where='result="failed"'), "{{schedule}}")],
        ),
        Panel(
            "Background jobs that ended", "ops",
            [Query(rate("assay_worker_background_jobs_total", "kind", "state"), "{{kind}} {{state}}")],
            is_stacked=True,
        ),
        Panel(
            "Rollups that differ from their rows", "short",
            [Query(largest("assay_worker_rollup_differences", "schedule"), "{{schedule}}")],
            "Above 0, aggregates and trends are wrong.", alarm=1,
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "assay-worker",
    "Assay: worker and queue",
    "Are scores stored, and how soon? Do schedules and background jobs run?",
    (SCORES, QUEUE, TRANSACTIONS, JOBS),
)
