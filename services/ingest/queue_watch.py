"""Watch how full the queue is, so that ingest can say 503 before Redis has to."""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.ingest.metrics import IngestMetrics
from shared.errors import QueueFull
from shared.queue import states

log = structlog.get_logger()

WATCH_SECONDS = 0.25


class QueueWatch:
    """The depth of each shard as of the last look, plus what this process has put in since."""

    def __init__(self, redis: Redis, metrics: IngestMetrics, *, shards: int, entries_max: int, bytes_max: int) -> None:
        self._redis = redis
        self._metrics = metrics
        self._shards = shards
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._entries = [0] * shards
        self._bytes = [0] * shards

    def check_room(self, shard: int, size: int) -> None:
        """Raises `QueueFull` when the shard is at a limit; else counts `size` bytes in."""
        if self._entries[shard] >= self._entries_max or self._bytes[shard] >= self._bytes_max:
            raise QueueFull("The queue is full: the scores wait to be stored.")
        self._entries[shard] += 1
        self._bytes[shard] += size

    async def look(self) -> None:
        _, shards = await states(self._redis, self._shards)
        for state in shards:
            self._entries[state.shard] = state.entries
            self._bytes[state.shard] = state.bytes_used
            self._metrics.queue_entries.labels(str(state.shard)).set(state.entries)
            self._metrics.queue_bytes.labels(str(state.shard)).set(state.bytes_used)

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("queue_watch_failed", reason=type(error).__name__)
            await asyncio.sleep(WATCH_SECONDS)
