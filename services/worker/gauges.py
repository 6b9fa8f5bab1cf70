"""Keep the worker's gauges up to date: what is in the queue, read or not, and among the dead letters, and when each
schedule last succeeded. Every worker tells all of it, whatever its roles."""

import asyncio
import math
import time
from collections import Counter
from contextlib import suppress

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.worker.metrics import WorkerMetrics
from services.worker.schedules import SCHEDULES, last_differences, last_successes
from shared import dead_letters, queue

log = structlog.get_logger()

TELL_SECONDS = 1.0
PLACES_SECONDS = 5.0  # there can be very many dead letters
STRANDED_SECONDS = 5.0  # it looks at the names of all keys


class Gauges:
    def __init__(self, redis: Redis, metrics: WorkerMetrics, shards: int) -> None:
        self._redis = redis
        self._metrics = metrics
        self._shards = shards
        self._places_at = -math.inf  # monotonic
        self._stranded_at = -math.inf  # monotonic
        self._stranded: dict[int, int] = {}

    async def run(self) -> None:
        while True:
            with suppress(RedisError, OSError):  # `Health.watch` says so
                await self.tell()
            await asyncio.sleep(TELL_SECONDS)

    async def tell(self) -> None:
        self._metrics.tell_queue(*await queue.states(self._redis, self._shards))
        await self._tell_schedules()
        await self._tell_dead_letters(time.monotonic())
        await self._tell_stranded(time.monotonic())

    async def _tell_schedules(self) -> None:
        successes = await last_successes(self._redis)
        for schedule in SCHEDULES:
            self._metrics.schedule_interval.labels(schedule.name).set(schedule.interval_seconds)
            if schedule.name in successes:
                self._metrics.schedule_success.labels(schedule.name).set(successes[schedule.name])
        for name, count in (await last_differences(self._redis)).items():
            self._metrics.rollup_differences.labels(name).set(count)

    async def _tell_dead_letters(self, now: float) -> None:
        if now < self._places_at + PLACES_SECONDS:
            return
        counts = Counter(stream for stream, _ in await dead_letters.places(self._redis))
        self._metrics.tell_dead_letters({stream: counts[stream] for stream in queue.streams_of(self._shards)} | counts)
        self._places_at = now

    async def _tell_stranded(self, now: float) -> None:
        if now < self._stranded_at + STRANDED_SECONDS:
            return
        found = await queue.stranded(self._redis, self._shards)
        for stream in found.keys() - self._stranded.keys():
            label, entries = queue.label_of(stream), found[stream]
            log.error("scores_stranded", stream=label, entries=entries, shards=self._shards)
        self._metrics.tell_stranded(dict.fromkeys(self._stranded, 0) | found)
        self._stranded = found
        self._stranded_at = now
