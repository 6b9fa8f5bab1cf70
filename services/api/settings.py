"""What an operator can set for the api, and the defaults."""

from typing import Annotated

from msgspec import Meta, Struct

from shared.logs import LogFormat


class Settings(Struct, frozen=True, kw_only=True):
    database_url: Annotated[str, Meta(description="Where scores are kept.")]
    redis_url: Annotated[str, Meta(description="Where the queue and the key directory are.")]
    host: Annotated[str, Meta(description="The address to listen on.")] = "127.0.0.1"
    api_port: Annotated[int, Meta(description="The port to listen on.", ge=0, le=65535)] = 8000
    api_pool_size: Annotated[int, Meta(description="Postgres connections of one process.", ge=1, le=200)] = 10
    queue_shards: Annotated[
        int, Meta(description="Shards of the queue, two streams each; the same for all services.", ge=1)
    ] = 8
    query_timeout_ms: Annotated[int, Meta(description="Limit of one statement.", ge=100)] = 10_000
    key_cache_seconds: Annotated[
        float, Meta(description="How long a known key is trusted without asking; a revoked one stops in 10 s.", le=5)
    ] = 5.0
    stop_pause_seconds: Annotated[
        float, Meta(description="How long a stopping process says that it is not ready before it closes.", ge=0, le=60)
    ] = 0.0
    log_format: Annotated[LogFormat, Meta(description="json, or console for people.")] = "json"
    log_level: Annotated[str, Meta(description="DEBUG, INFO, WARNING or ERROR.")] = "INFO"
