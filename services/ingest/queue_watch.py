"""Watch how full the queue is, so that ingest can say 503 before Redis has to."""

import asyncio

import structlog
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.ingest.metrics import IngestMetrics
from shared.errors import QueueFull, QueueUnavailable
from shared.queue import StreamState, level, states, streams_of

log = structlog.get_logger()

WATCH_SECONDS = 0.25


class Limits(Struct, frozen=True):
    """How much one stream may hold before 503."""

    entries_max: int
    bytes_max: int
    age_max_seconds: float


class QueueWatch:
    """The depth of each stream as of the last look, plus what this process has put in since."""

    def __init__(self, redis: Redis, metrics: IngestMetrics, shards: int, limits: Limits) -> None:
        self._redis = redis
        self._metrics = metrics
        self._shards = shards
        self._limits = limits
        self._entries = [0] * len(streams_of(shards))
        self._bytes = [0] * len(streams_of(shards))
        self._age_seconds = [0.0] * len(streams_of(shards))
        self._set_back: set[int] = set()
        self._has_looked = False
        self._has_tried = asyncio.Event()

    async def first_look(self) -> None:
        """Return once the queue was seen: before, it is not known whether its streams may be used as they stand.
        Raises `QueueUnavailable` while that fails."""
        if not self._has_looked:
            await self._has_tried.wait()
            if not self._has_looked:
                raise QueueUnavailable("The queue can't be reached.")

    def check_room(self, stream: int, size: int) -> None:
        """Raises `QueueFull` when the stream is at a limit; else counts `size` bytes in."""
        if self._entries[stream] >= self._limits.entries_max or self._bytes[stream] >= self._limits.bytes_max:
            raise QueueFull("The queue is full: the scores wait to be stored.")
        if self._age_seconds[stream] >= self._limits.age_max_seconds:
            raise QueueFull("The queue stands still: its oldest scores wait for too long.", code="queue_stalled")
        self._entries[stream] += 1
        self._bytes[stream] += size

    def may_use_bulk(self, stream: int) -> bool:
        """Not while Redis's clock is behind the ids it has given out: then only one stream keeps the order."""
        return stream // 2 not in self._set_back

    async def look(self) -> None:
        now_ms, found = await states(self._redis, self._shards)
        await self._tell_clock(found)
        self._has_looked = True
        for state in found:
            self._entries[state.stream] = state.entries
            self._bytes[state.stream] = state.bytes_used
            self._age_seconds[state.stream] = state.age_seconds(now_ms)
            self._tell(state, now_ms)

    def _tell(self, state: StreamState, now_ms: int) -> None:
        label, age_seconds = state.label, state.age_seconds(now_ms)
        self._metrics.queue_entries.labels(label).set(state.entries)
        self._metrics.queue_bytes.labels(label).set(state.bytes_used)
        self._metrics.queue_oldest_seconds.labels(label).set(age_seconds)
        self._metrics.queue_used_ratio.labels(label).set(
            max(
                state.entries / self._limits.entries_max,
                state.bytes_used / self._limits.bytes_max,
                age_seconds / self._limits.age_max_seconds,
            )
        )

    async def _tell_clock(self, found: list[StreamState]) -> None:
        set_back: dict[int, int] = {}
        for state in found:
            if state.ahead_ms > 0:
                set_back[state.stream // 2] = max(state.ahead_ms, set_back.get(state.stream // 2, 0))
        for shard in set_back.keys() - self._set_back:
            log.warning("queue_clock_set_back", shard=shard, by_ms=set_back[shard])
            await level(self._redis, shard)
        self._set_back = set(set_back)

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("queue_watch_failed", reason=type(error).__name__)
            self._has_tried.set()
            await asyncio.sleep(WATCH_SECONDS)
