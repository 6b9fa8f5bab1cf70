"""What an operator can set for ingest, and the defaults."""

from typing import Annotated

from msgspec import Meta, Struct

from shared.envelope import SCORES_BYTES_MAX
from shared.logs import LogFormat


class Settings(Struct, frozen=True, kw_only=True):
    redis_url: Annotated[str, Meta(description="Where the queue is: one [Redis](#redis), or the Sentinels of several.")]
    host: Annotated[str, Meta(description="The address to listen on; of the worker: for health and metrics.")] = (
        "127.0.0.1"
    )
    ingest_port: Annotated[int, Meta(description="The port to listen on.", ge=0, le=65535)] = 8001
    batch_scores_max: Annotated[int, Meta(description="Scores a request may carry.", ge=1, le=10_000)] = 1000
    body_bytes_max: Annotated[
        int, Meta(description="Bytes a body may have, also once unzipped.", ge=1024, le=SCORES_BYTES_MAX)
    ] = 8 << 20
    bodies_bytes_max: Annotated[
        int,
        Meta(
            description="Bytes of all bodies that one process has in hand before 503 `too_busy`; two of the largest "
            "always have room.",
            ge=1024,
        ),
    ] = 256 << 20
    connections_max: Annotated[
        int, Meta(description="Connections of one process; beyond them the longest idle one goes.", ge=1)
    ] = 16_384
    head_seconds: Annotated[
        float, Meta(description="How long a request may take to arrive up to its body, before 408.", gt=0)
    ] = 10.0
    body_seconds: Annotated[
        float, Meta(description="How long a body may take to arrive before 408 `body_timeout`.", gt=0)
    ] = 30.0
    queue_shards: Annotated[
        int,
        Meta(
            description="Shards of the queue, two streams each; **the same for all services**. See [scaling](#scaling) "
            "before changing it.",
            ge=1,
        ),
    ] = 8
    queue_entries_max: Annotated[int, Meta(description="Batches a stream may hold before 503 `queue_full`.", ge=1)] = (
        200_000
    )
    queue_bytes_max: Annotated[int, Meta(description="Bytes a stream may hold before 503 `queue_full`.", ge=1024)] = (
        1 << 30
    )
    queue_age_max_seconds: Annotated[
        float, Meta(description="Age of a stream's oldest batch before 503 `queue_stalled`.", gt=0)
    ] = 86_400.0
    flood_scores_per_second: Annotated[
        float,
        Meta(
            description="Scores a second of one project before its batches go to the bulk stream. A batch counts for "
            "at least one score per 500 bytes.",
            gt=0,
        ),
    ] = 5_000.0
    flood_burst: Annotated[float, Meta(description="Scores at once before that.", gt=0)] = 16_384.0
    queue_replicas: Annotated[
        int,
        Meta(
            description="Replicas of Redis that must have a batch before its 202. See "
            "[Redis with Sentinels](scaling.md#redis-with-sentinels).",
            ge=0,
        ),
    ] = 0
    redis_timeout_seconds: Annotated[float, Meta(description="How long an answer of Redis is awaited.", gt=0)] = 5.0
    key_cache_seconds: Annotated[
        float,
        Meta(description="How long a known key is trusted without asking: a revoked one stops within 10 s.", le=4),
    ] = 4.0
    stop_pause_seconds: Annotated[
        float,
        Meta(
            description="How long a stopping process says that it is not ready before it closes. See "
            "[draining](#draining).",
            ge=0,
            le=60,
        ),
    ] = 0.0
    log_format: Annotated[LogFormat, Meta(description="json, or console for people.")] = "json"
    log_level: Annotated[str, Meta(description="DEBUG, INFO, WARNING or ERROR.")] = "INFO"
