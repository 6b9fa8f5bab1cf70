"""Every metric of the worker."""

from collections.abc import Mapping

from shared.jobs import JobKind, JobState
from shared.metrics import LAG_BUCKETS_SECONDS, LATENCY_BUCKETS_SECONDS, SIZE_BUCKETS, PoolMetrics, ServiceMetrics
from shared.queue import StreamState, label_of

OUTCOMES = ("stored", "replaced", "unchanged", "rejected")


class WorkerMetrics(ServiceMetrics):
    def __init__(self) -> None:
        super().__init__("worker")
        register = self.register
        self.pool = PoolMetrics(register)
        self.scores = register.counter("assay_worker_scores_total", "Scores by what became of them.", "outcome")
        self.rejected = register.counter("assay_worker_scores_rejected_total", "Rejected scores.", "code")
        self.transaction_scores = register.histogram(
            "assay_worker_transaction_scores", "Scores in one transaction.", buckets=SIZE_BUCKETS
        )
        self.transaction_seconds = register.histogram(
            "assay_worker_transaction_seconds", "One transaction, of those that succeeded.", "way",
            buckets=LATENCY_BUCKETS_SECONDS,
        )  # fmt: skip
        self.commit_seconds = register.histogram(
            "assay_worker_commit_seconds", "The commit of a transaction.", buckets=LATENCY_BUCKETS_SECONDS
        )
        self.visible_seconds = register.histogram(
            "assay_worker_visible_seconds", "From received to readable, by batch.", buckets=LAG_BUCKETS_SECONDS
        )
        self.retries = register.counter("assay_worker_retries_total", "Steps tried again.", "reason")
        self.dead_letters = register.counter(
            "assay_worker_dead_letters_total",
            "Entries that can't be read or can't be persisted, moved to the [dead letters](#dead-letters).",
            "stream",
        )
        self.dead_letter_entries = register.gauge(
            "assay_worker_dead_letter_entries", "[Dead letters](#dead-letters) that wait for an operator.", "stream"
        )
        self.claimed = register.counter("assay_worker_claimed_total", "Entries taken over from other workers.")
        self.config_cache = register.counter("assay_worker_config_cache_total", "Look-ups of rules.", "result")
        self.queue_entries = register.gauge("assay_worker_queue_entries", "Batches in the queue.", "stream")
        self.queue_pending_entries = register.gauge(
            "assay_worker_queue_pending_entries", "Batches given to a worker.", "stream"
        )
        self.queue_oldest_seconds = register.gauge(
            "assay_worker_queue_oldest_seconds", "Age of the oldest unfinished batch.", "stream"
        )
        self.queue_stranded_entries = register.gauge(
            "assay_worker_queue_stranded_entries",
            "Batches in a stream beyond `ASSAY_QUEUE_SHARDS`, which nobody reads.",
            "stream",
        )
        self.rollup_differences = register.gauge(
            "assay_worker_rollup_differences",
            "Rollup buckets that differed from the rows when they were last verified.",
            "schedule",
        )
        self.schedule_runs = register.counter(
            "assay_worker_schedule_runs_total", "Runs of the schedules.", "schedule", "result"
        )
        self.schedule_success = register.gauge(
            "assay_worker_schedule_success_timestamp_seconds",
            "When a schedule last succeeded, on whichever worker (seconds since 1970).",
            "schedule",
        )
        self.schedule_interval = register.gauge(
            "assay_worker_schedule_interval_seconds", "How often a schedule comes round.", "schedule"
        )
        self.background_jobs = register.counter(
            "assay_worker_background_jobs_total", "Background jobs that have ended.", "kind", "state"
        )
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """A series that begins with its first event shows no increase of it."""
        for outcome in OUTCOMES:
            self.scores.labels(outcome)
        for kind in JobKind:
            for state in (JobState.DONE, JobState.FAILED):
                self.background_jobs.labels(kind, state)

    def tell_queue(self, now_ms: int, streams: list[StreamState]) -> None:
        for state in streams:
            label = state.label
            self.queue_entries.labels(label).set(state.entries)
            self.queue_pending_entries.labels(label).set(state.pending)
            self.queue_oldest_seconds.labels(label).set(state.age_seconds(now_ms))

    def tell_stranded(self, count_of: Mapping[int, int]) -> None:
        """`count_of` has 0 for a stream that has none any more."""
        for stream, count in count_of.items():
            self.queue_stranded_entries.labels(label_of(stream)).set(count)

    def tell_dead_letters(self, count_of: Mapping[int, int]) -> None:
        """`count_of` has every stream, also those that have none."""
        for stream, count in count_of.items():
            self.dead_letter_entries.labels(label_of(stream)).set(count)
