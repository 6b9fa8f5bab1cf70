"""`Assay-Complete-Through`: the time up to which everything that was accepted is in what a read answers.

A stream holds an entry until it is persisted, so the oldest entry of a shard says how far its projects are stored; one
among the dead letters holds it back too. The look is taken before the query: what it says of then is true of any later
snapshot, and stays true when Redis is away.
"""

import asyncio
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


class CompleteThrough:
    def __init__(self, redis: Redis, metrics: ApiMetrics, shards: int) -> None:
        self._redis = redis
        self._metrics = metrics
        self._shards = shards
        self._through_ms: list[int | None] = [None] * len(streams_of(shards))

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
        now_ms, streams = await states(self._redis, self._shards)
        dead = [(stream, int(entry_id.split("-")[0])) for stream, entry_id in await dead_letters.places(self._redis)]
        for state in streams:
            unstored = [ms for stream, ms in dead if stream == state.stream]
            if state.oldest_ms is not None:
                unstored.append(state.oldest_ms)
            # The entry's own millisecond is not complete; nor is this one, in which more may come.
            through_ms = min([now_ms, *unstored]) - 1
            self._through_ms[state.stream] = max(self._through_ms[state.stream] or 0, through_ms)
        behind = max(now_ms - (through_ms or 0) for through_ms in self._through_ms)
        self._metrics.behind_seconds.set(max(0, behind) / 1000)

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("queue_unreachable", reason=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)
