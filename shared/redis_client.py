"""Open Redis, wait for it, and say whether it answers."""

import asyncio

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

log = structlog.get_logger()


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


async def redis_trouble(redis: Redis) -> str | None:
    """None when Redis answers: for `/readyz`."""
    try:
        await redis.ping()
    except (RedisError, OSError) as error:
        return f"the queue can't be reached: {type(error).__name__}"
    return None
