"""Open Redis, and say at start when it is set so that an accepted score could be lost."""

import asyncio

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError, ResponseError

log = structlog.get_logger()

# What each setting must be so that a reply leaves only after the write is on disk, and nothing is ever evicted.
_DURABLE = {"appendonly": {"yes"}, "appendfsync": {"always"}, "maxmemory-policy": {"noeviction"}}


def open_redis(url: str, *, timeout_seconds: float = 5.0, connections_max: int = 50) -> Redis:
    """A client with a pool. Connects at first use; a call that gets no answer in time raises `RedisError`. Where all
    connections are in use, it waits for one as long: many calls at once are no reason to fail."""
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        max_connections=connections_max,
        health_check_interval=15,
    )
    return Redis.from_pool(pool)


async def wait_for_redis(redis: Redis, pause_seconds: float = 0.5) -> None:
    """Return once Redis answers; services start in any order."""
    said = False
    while True:
        try:
            await redis.ping()
        except (RedisError, OSError) as error:
            if not said:
                log.warning("redis_awaited", reason=type(error).__name__)
                said = True
            await asyncio.sleep(pause_seconds)
        else:
            return


async def undurable_settings(redis: Redis) -> dict[str, str]:
    """The settings of this Redis under which a crash can lose what a 202 promised; {} when it is set as documented.

    A managed Redis may forbid CONFIG: then {} with a log line, because nothing is known.
    """
    try:
        answers = [await redis.config_get(name) for name in _DURABLE]
    except ResponseError:
        log.warning("queue_durability_unknown", reason="CONFIG GET is not allowed here")
        return {}
    found = {name: str(value) for answer in answers for name, value in answer.items()}
    return {name: found[name] for name, good in _DURABLE.items() if found.get(name) not in good}
