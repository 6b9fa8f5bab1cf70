"""Tell when API keys were used, without a write for each request: what a process has gathered goes out now and then."""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.key_directory import tell_used
from shared.known_keys import KnownKeys

log = structlog.get_logger()

TELL_SECONDS = 10.0


async def keep_telling_use(redis: Redis, keys: KnownKeys) -> None:
    """Until it is cancelled. While Redis is away, what was gathered waits."""
    while True:
        await asyncio.sleep(TELL_SECONDS)
        await tell_use(redis, keys)


async def tell_use(redis: Redis, keys: KnownKeys) -> None:
    used, keys.used = keys.used, {}
    if not used:
        return
    try:
        await tell_used(redis, used)
    except (RedisError, OSError) as error:
        keys.used = used | keys.used
        log.warning("key_use_not_told", reason=type(error).__name__)
