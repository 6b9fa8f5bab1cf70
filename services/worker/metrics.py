"""Every metric of the worker."""

from shared.metrics import LATENCY_BUCKETS_SECONDS, SIZE_BUCKETS, Register
from shared.queue import StreamState


class WorkerMetrics:
    def __init__(self, register: Register) -> None:
        self.register = register
        self.scores = register.counter(
            "assay_worker_scores_total", "Scores by what became of them.", "outcome"
        )  # stored, replaced, unchanged, rejected
        self.rejected = register.counter("assay_worker_scores_rejected_total", "Rejected scores, by code.", "code")
        self.transaction_scores = register.histogram(
            "assay_worker_transaction_scores", "Scores in one transaction.", buckets=SIZE_BUCKETS
        )
        self.transaction_seconds = register.histogram(
            "assay_worker_transaction_seconds", "One transaction, by the way it took.", "way",
            buckets=LATENCY_BUCKETS_SECONDS,
        )  # fmt: skip
        self.visible_seconds = register.histogram(
            "assay_worker_visible_seconds", "From received to readable.", buckets=LATENCY_BUCKETS_SECONDS
        )
        self.retries = register.counter("assay_worker_retries_total", "Transactions tried again.", "reason")
        self.dead_letters = register.counter(
            "assay_worker_dead_letters_total", "Entries that can't be read, or not be persisted for a lasting reason."
        )
        self.dead_letters_kept = register.gauge(
            "assay_worker_dead_letters_kept", "Dead letters that wait for an operator."
        )
        self.claimed = register.counter("assay_worker_claimed_total", "Entries taken over from other workers.")
        self.config_cache = register.counter("assay_worker_config_cache_total", "Look-ups of rules.", "result")
        self.queue_entries = register.gauge("assay_worker_queue_entries", "Batches in the queue.", "stream")
        self.queue_pending = register.gauge("assay_worker_queue_pending", "Batches given to a worker.", "stream")
        self.queue_oldest_seconds = register.gauge(
            "assay_worker_queue_oldest_seconds", "Age of the oldest unfinished batch.", "stream"
        )
        self.rollup_differences = register.gauge(
            "assay_worker_rollup_differences", "Rollup buckets that differed from the rows at the last verification."
        )
        self.job_runs = register.counter("assay_worker_job_runs_total", "Jobs run.", "job", "result")

    def tell_queue(self, now_ms: int, streams: list[StreamState]) -> None:
        for state in streams:
            label = state.label
            self.queue_entries.labels(label).set(state.entries)
            self.queue_pending.labels(label).set(state.pending)
            age = 0.0 if state.oldest_ms is None else max(0.0, (now_ms - state.oldest_ms) / 1000)
            self.queue_oldest_seconds.labels(label).set(age)
