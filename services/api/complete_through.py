"""`Assay-Complete-Through`: the time up to which everything that was accepted is in what a read answers.

A stream holds an entry until it is persisted, so the oldest entry of a shard says how far its projects are stored; one
among the dead letters holds it back too. The look is taken before the query: what it says of then is true of any later
snapshot, and stays true when Redis is away.

The time is Redis's. When its clock is set back, what was complete stays complete, up to as long ago by the new clock.
"""

import asyncio
import math
import time
from datetime import UTC, datetime
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.api.metrics import ApiMetrics
from shared import dead_letters
from shared.queue import states, stream_of, streams_of

log = structlog.get_logger()

HEADER = "Assay-Complete-Through"
LOOK_SECONDS = 0.2
PLACES_SECONDS = 5.0  # there can be very many dead letters
_NOTHING_BURIED = "0-0"


class CompleteThrough:
    def __init__(self, redis: Redis, metrics: ApiMetrics, shards: int, places_seconds: float = PLACES_SECONDS) -> None:
        self._redis = redis
        self._metrics = metrics
        self._shards = shards
        self._places_seconds = places_seconds
        self._through_ms: list[int | None] = [None] * len(streams_of(shards))
        self._now_ms = 0
        self._looked_at = 0.0  # monotonic
        self._newest_buried = _NOTHING_BURIED
        self._oldest_buried_ms: dict[int, int] = {}  # by stream
        self._places_at = 0.0  # monotonic

    def headers(self, project_id: UUID) -> dict[str, str]:
        """The header for a read of this project; nothing until the queue was seen once."""
        own = self._through_ms[stream_of(project_id, self._shards)]
        bulk = self._through_ms[stream_of(project_id, self._shards, bulk=True)]
        if own is None or bulk is None:
            return {}
        through_ms = min(own, bulk)
        moment = datetime.fromtimestamp(through_ms / 1000, UTC)
        return {HEADER: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}

    async def look(self) -> None:
        looked_at = time.monotonic()
        now_ms, streams = await states(self._redis, self._shards)
        await self._look_at_dead_letters(looked_at)  # after the streams: that is the way an entry goes
        self._follow_clock(now_ms, looked_at)
        for state in streams:
            buried_ms = self._oldest_buried_ms.get(state.stream)
            unstored = [ms for ms in (state.oldest_ms, buried_ms) if ms is not None]
            self._advance(state.stream, now_ms, min(unstored, default=now_ms))
        behind = [now_ms - through_ms for through_ms in self._through_ms if through_ms is not None]
        self._metrics.behind_seconds.set(max([0, *behind]) / 1000)

    def _follow_clock(self, now_ms: int, looked_at: float) -> None:
        """After Redis's clock was set back: what was complete at the last look, by the new clock."""
        if now_ms < self._now_ms:
            back_ms = self._now_ms + math.ceil((looked_at - self._looked_at) * 1000) - now_ms
            self._through_ms = [None if ms is None else ms - back_ms for ms in self._through_ms]
        self._now_ms, self._looked_at = now_ms, looked_at

    async def _look_at_dead_letters(self, looked_at: float) -> None:
        """Their places are asked for when one more was buried, and now and then, to see which have gone."""
        buried = await self._redis.xrange(dead_letters.STREAM, min=f"({self._newest_buried}", count=1)
        if buried:
            # Asked before the places: what is buried in between is found again at the next look.
            info = await self._redis.xinfo_stream(dead_letters.STREAM)
            newest_buried = info["last-generated-id"].decode()
        elif self._oldest_buried_ms and looked_at - self._places_at >= self._places_seconds:
            newest_buried = self._newest_buried
        else:
            return
        oldest_ms: dict[int, int] = {}
        for stream, entry_id in await dead_letters.places(self._redis):
            ms = int(entry_id.partition("-")[0])
            oldest_ms[stream] = min(ms, oldest_ms.get(stream, ms))
        self._oldest_buried_ms, self._newest_buried, self._places_at = oldest_ms, newest_buried, looked_at

    def _advance(self, stream: int, now_ms: int, oldest_ms: int) -> None:
        if oldest_ms > now_ms:
            return  # received after the clock was set back: the id does not say when
        # The entry's own millisecond is not complete; nor is this one, in which more may come.
        self._through_ms[stream] = max(self._through_ms[stream] or 0, oldest_ms - 1)

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("queue_unreachable", reason=type(error).__name__)
                self._newest_buried = _NOTHING_BURIED  # it may be another Redis that comes back
            await asyncio.sleep(LOOK_SECONDS)
