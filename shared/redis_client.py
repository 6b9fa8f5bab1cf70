"""Open Redis, wait for it, and say whether it answers."""

import asyncio
from typing import Any

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from shared.redis_address import read_address
from shared.sentinel import through_sentinels

log = structlog.get_logger()


def open_redis(url: str, *, timeout_seconds: float = 5.0, connections_max: int = 50) -> Redis:
    """A client with a pool. Connects at first use; a call that gets no answer in time raises `RedisError`. Where all
    connections are in use, it waits for one as long: many calls at once are no reason to fail. Raises `BadAddress`."""
    address = read_address(url)
    options: dict[str, Any] = {
        "timeout": timeout_seconds,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "max_connections": connections_max,
        "health_check_interval": 15,
        **parse_url(address.url),
    }
    if address.sentinels:
        options = through_sentinels(address, options)
    return Redis.from_pool(BlockingConnectionPool(**options))


async def wait_for_redis(redis: Redis, pause_seconds: float = 0.5) -> None:
    """Return once Redis answers; services start in any order."""
    said = False
    while True:
        try:
            await redis.ping()
        except (RedisError, OSError) as error:
            if not said:
                log.warning("redis_awaited", reason=_reason(error))
                said = True
            await asyncio.sleep(pause_seconds)
        else:
            return


async def redis_trouble(redis: Redis) -> str | None:
    """None when Redis answers: for `/readyz`."""
    try:
        await redis.ping()
    except (RedisError, OSError) as error:
        return f"the queue can't be reached: {_reason(error)}"
    return None


def _reason(error: Exception) -> str:
    """In one word. What is wrong with Sentinels is the cause of redis-py's error of the connection."""
    cause = error.__cause__ if isinstance(error.__cause__, RedisError) else error
    return type(cause).__name__
