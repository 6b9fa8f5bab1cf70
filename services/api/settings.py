"""What an operator can set for the api, and the defaults."""

from typing import Annotated

from msgspec import Meta, Struct

from shared.logs import LogFormat


class Settings(Struct, frozen=True, kw_only=True):
    database_url: Annotated[str, Meta(description="Where scores are kept.")]
    redis_url: Annotated[
        str,
        Meta(
            description="Where the queue and the key directory are: one [Redis](#redis), or the Sentinels of several."
        ),
    ]
    host: Annotated[str, Meta(description="The address to listen on; of the worker: for health and metrics.")] = (
        "127.0.0.1"
    )
    api_port: Annotated[int, Meta(description="The port to listen on.", ge=0, le=65535)] = 8000
    api_pool_size: Annotated[int, Meta(description="PostgreSQL connections of one process.", ge=1, le=200)] = 10
    queue_shards: Annotated[
        int,
        Meta(
            description="Shards of the queue, two streams each; **the same for all services**. See [scaling](#scaling) "
            "before changing it.",
            ge=1,
        ),
    ] = 8
    connections_max: Annotated[
        int, Meta(description="Connections of one process; beyond them the longest idle one goes.", ge=1)
    ] = 16_384
    head_seconds: Annotated[
        float, Meta(description="How long a request may take to arrive up to its body, before 408.", gt=0)
    ] = 10.0
    body_seconds: Annotated[float, Meta(description="How long a body may take to arrive.", gt=0)] = 30.0
    query_timeout_ms: Annotated[int, Meta(description="Limit of one statement.", ge=100)] = 10_000
    key_cache_seconds: Annotated[
        float,
        Meta(description="How long a known key is trusted without asking: a revoked one stops within 10 s.", le=4),
    ] = 4.0
    project_queries_max: Annotated[
        int, Meta(description="Queries of one project at once in one process, before 429.", ge=1)
    ] = 5
    cookie_secure: Annotated[
        bool, Meta(description="Whether the session's cookie goes over TLS only. Not so where there is none.")
    ] = True
    session_idle_seconds: Annotated[int, Meta(description="A session ends when unused for so long.", ge=60)] = 86_400
    session_seconds: Annotated[int, Meta(description="A session ends so long after the sign-in.", ge=60)] = 30 * 86_400
    public_url: Annotated[str, Meta(description="Where people reach this, for links; unset: as the request says.")] = ""
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
