"""Watch whether Redis keeps what it confirms, and how much memory it has left. What could lose a score that was
accepted is said in the log, at the start and whenever it changes."""

import asyncio
from contextlib import suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from services.ingest.metrics import IngestMetrics
from shared.redis_client import wait_for_redis

LOOK_SECONDS = 5.0

# What each setting must be so that a reply leaves only after the write is on disk, and nothing is ever evicted.
DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}

log = structlog.get_logger()


class RedisWatch:
    def __init__(self, redis: Redis, metrics: IngestMetrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self._said: object = {}

    async def run(self) -> None:
        await wait_for_redis(self._redis)
        while True:
            with suppress(RedisError, OSError):  # `Health.watch` says so
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        info: dict[str, Any] = await self._redis.info()
        self._metrics.redis_used_bytes.set(info["used_memory"])
        self._metrics.redis_limit_bytes.set(info.get("maxmemory") or info.get("total_system_memory", 0))
        self._metrics.redis_durable_ok.labels("aof_last_write").set(info.get("aof_last_write_status", "ok") == "ok")
        await self._look_at_settings()

    async def _look_at_settings(self) -> None:
        """A managed Redis may not let us see them: then nothing is known, and that is said too."""
        found: dict[str, str] = {}
        try:
            for name in DURABLE:
                found |= await self._redis.config_get(name)
        except ResponseError as error:
            self._say(None, reason=str(error)[:100])
            return
        for name, wanted in DURABLE.items():
            self._metrics.redis_durable_ok.labels(name).set(found.get(name) == wanted)
        self._say({name: found.get(name) for name, wanted in DURABLE.items() if found.get(name) != wanted})

    def _say(self, undurable: dict[str, str | None] | None, reason: str = "") -> None:
        if undurable == self._said:
            return
        self._said = undurable
        if undurable is None:
            log.warning("queue_durability_unknown", reason=reason)
        elif undurable:
            log.warning("queue_not_durable", settings=undurable, wanted=DURABLE)
        else:
            log.info("queue_durable_again")
