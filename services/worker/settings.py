"""What an operator can set for the worker, and the defaults."""

from typing import Annotated

from msgspec import Meta, Struct

from shared.logs import LogFormat


class Settings(Struct, frozen=True, kw_only=True):
    database_url: Annotated[str, Meta(description="Where scores are kept.")]
    redis_url: Annotated[str, Meta(description="Where the queue is: one [Redis](#redis), or the Sentinels of several.")]
    host: Annotated[str, Meta(description="The address to listen on; of the worker: for health and metrics.")] = (
        "127.0.0.1"
    )
    worker_port: Annotated[int, Meta(description="The port for health and metrics.", ge=0, le=65535)] = 8002
    worker_roles: Annotated[str, Meta(description="`persist`, `jobs`, or both.")] = "persist,jobs"
    worker_name: Annotated[
        str,
        Meta(description="The consumer's name; made from host and process if empty. Two workers must not share one."),
    ] = ""
    worker_lanes: Annotated[int, Meta(description="Transactions in flight at once in one process.", ge=1, le=16)] = 2
    persist_scores_max: Annotated[int, Meta(description="Scores a transaction aims at.", ge=1)] = 4000
    linger_ms: Annotated[int, Meta(description="How long a small batch waits for more.", ge=0, le=1000)] = 5
    claim_idle_seconds: Annotated[
        float, Meta(description="After this long an unfinished entry of another worker is taken over.", gt=0)
    ] = 5.0
    drain_seconds: Annotated[float, Meta(description="How long a stop waits for the work in hand.", gt=0)] = 25.0
    queue_shards: Annotated[
        int,
        Meta(
            description="Shards of the queue, two streams each; **the same for all services**. See [scaling](#scaling) "
            "before changing it.",
            ge=1,
        ),
    ] = 8
    statement_timeout_ms: Annotated[
        int, Meta(description="Limit of a statement that stores scores; half of it for waiting for a lock.", ge=100)
    ] = 15_000
    job_statement_timeout_ms: Annotated[int, Meta(description="Limit of a statement of a job.", ge=100)] = 300_000
    log_format: Annotated[LogFormat, Meta(description="json, or console for people.")] = "json"
    log_level: Annotated[str, Meta(description="DEBUG, INFO, WARNING or ERROR.")] = "INFO"
