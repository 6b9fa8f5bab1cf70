"""Forget consumers of the queue that are long gone and have nothing in hand: every start of a worker adds one."""

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.queue import GROUP, key_of, streams_of

GONE_AFTER_MS = 60 * 60 * 1000


async def tidy_consumers(redis: Redis, shards: int) -> int:
    """How many were forgotten. A consumer with pending entries stays: deleting it would drop them."""
    forgotten = 0
    for stream in streams_of(shards):
        try:
            consumers = await redis.xinfo_consumers(key_of(stream), GROUP)
        except ResponseError:  # no stream yet
            continue
        for consumer in consumers:
            if consumer["pending"] == 0 and consumer["idle"] > GONE_AFTER_MS:
                await redis.xgroup_delconsumer(key_of(stream), GROUP, consumer["name"])
                forgotten += 1
    return forgotten
