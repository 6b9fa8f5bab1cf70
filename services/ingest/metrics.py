"""Every metric of ingest."""

from shared.metrics import LATENCY_BUCKETS_SECONDS, SIZE_BUCKETS, HttpMetrics


class IngestMetrics(HttpMetrics):
    def __init__(self) -> None:
        super().__init__("ingest")
        register = self.register
        self.accepted = register.counter("assay_ingest_scores_accepted_total", "Scores queued durably.")
        self.refused = register.counter("assay_ingest_scores_refused_total", "Malformed scores.", "code")
        self.batch_scores = register.histogram(
            "assay_ingest_batch_scores", "Scores queued of one request.", buckets=SIZE_BUCKETS
        )
        self.enqueue_seconds = register.histogram(
            "assay_ingest_enqueue_seconds", "From decoded to queued.", buckets=LATENCY_BUCKETS_SECONDS
        )
        self.commit_entries = register.histogram(
            "assay_ingest_commit_entries", "Batches written to Redis in one round trip.", buckets=SIZE_BUCKETS
        )
        self.commit_seconds = register.histogram(
            "assay_ingest_commit_seconds", "One such round trip.", buckets=LATENCY_BUCKETS_SECONDS
        )
        self.unreplicated = register.counter(
            "assay_ingest_batches_unreplicated_total",
            "Batches answered with 503 because fewer than `ASSAY_QUEUE_REPLICAS` replicas of Redis had them in time.",
        )
        self.flooded = register.counter("assay_ingest_batches_flooded_total", "Batches sent to a bulk stream.")
        self.queue_entries = register.gauge("assay_ingest_queue_entries", "Batches in the queue.", "stream")
        self.queue_bytes = register.gauge("assay_ingest_queue_bytes", "Bytes the queue holds in Redis.", "stream")
        self.queue_oldest_seconds = register.gauge(
            "assay_ingest_queue_oldest_seconds", "Age of the oldest unfinished batch.", "stream"
        )
        self.queue_used_ratio = register.gauge(
            "assay_ingest_queue_used_ratio",
            "The queue against `ASSAY_QUEUE_…_MAX`, by entries, bytes or age, whichever is nearest: 1 is a 503.",
            "stream",
        )
        self.redis_used_bytes = register.gauge("assay_ingest_redis_used_bytes", "Memory that Redis uses.")
        self.redis_limit_bytes = register.gauge(
            "assay_ingest_redis_limit_bytes", "Its `maxmemory`; where none is set, the memory of its machine."
        )
        self.redis_durable_ok = register.gauge(
            "assay_ingest_redis_durable_ok",
            "Whether Redis keeps what it confirms: 1 or 0 for each setting that it lets us see.",
            "setting",
        )
