"""Every metric of ingest."""

from shared.metrics import LATENCY_BUCKETS_SECONDS, SIZE_BUCKETS, HttpMetrics, Register


class IngestMetrics(HttpMetrics):
    def __init__(self, register: Register) -> None:
        super().__init__(register)
        self.register = register
        self.accepted = register.counter("assay_ingest_scores_accepted_total", "Scores queued durably.")
        self.refused = register.counter("assay_ingest_scores_refused_total", "Malformed scores, by code.", "code")
        self.enqueue_seconds = register.histogram(
            "assay_ingest_enqueue_seconds", "From decoded to queued.", buckets=LATENCY_BUCKETS_SECONDS
        )
        self.commit_entries = register.histogram(
            "assay_ingest_commit_entries", "Batches written to Redis in one round trip.", buckets=SIZE_BUCKETS
        )
        self.flooded = register.counter("assay_ingest_batches_flooded_total", "Batches sent to a bulk stream.")
        self.queue_entries = register.gauge("assay_queue_entries", "Batches in the queue.", "stream")
        self.queue_bytes = register.gauge("assay_queue_bytes", "Bytes the queue holds in Redis.", "stream")
        self.queue_oldest_seconds = register.gauge(
            "assay_queue_oldest_seconds", "Age of the oldest unfinished batch.", "stream"
        )
