"""arq as Assay uses it: msgpack instead of pickle, one queue name, and a row of `jobs` behind every request."""

from typing import Any
from uuid import UUID

import msgspec
from arq.connections import ArqRedis
from redis.asyncio import Redis

from shared.jobs import QUEUE_NAME, RUN_JOB
from shared.redis_client import open_redis, wait_for_redis


async def open_arq(redis_url: str) -> ArqRedis:
    """Connections for arq's worker, which closes them. Waits for Redis: services start in any order."""
    redis = open_redis(redis_url)
    await wait_for_redis(redis)
    return ArqRedis(redis.connection_pool, **_OPTIONS)


async def ask_to_run(redis: Redis, job_id: UUID) -> None:
    """Let a worker of the role `jobs` run the job; asking twice is harmless.

    The request has no name of its own at arq: a named one whose worker died could not be made again for hours.
    """
    arq = ArqRedis(redis.connection_pool, **_OPTIONS)
    await arq.enqueue_job(RUN_JOB, str(job_id))


async def ask_for_schedule(redis: Redis, name: str) -> None:
    """Let a worker of the role `jobs` run a schedule at once, and not only when it comes round."""
    await ArqRedis(redis.connection_pool, **_OPTIONS).enqueue_job(name)


async def ask_once(redis: Redis, name: str, delay_seconds: float) -> None:
    """Let one worker of the role `jobs` run it, after a while, however many ask until it has ended. If its worker is
    killed meanwhile, asking is in vain until arq's time for the job is over."""
    await ArqRedis(redis.connection_pool, **_OPTIONS).enqueue_job(name, _job_id=name, _defer_by=delay_seconds)


_OPTIONS: dict[str, Any] = {
    "default_queue_name": QUEUE_NAME,
    "job_serializer": msgspec.msgpack.encode,
    "job_deserializer": msgspec.msgpack.decode,
}
