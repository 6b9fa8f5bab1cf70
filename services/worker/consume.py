"""Read the queue: lanes that take what is new, and one that takes over what a dead worker left behind."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from services.worker.backoff import waits
from services.worker.handle import Handler, Stopped
from services.worker.metrics import WorkerMetrics
from services.worker.settings import Settings
from shared import queue
from shared.queue import Entry

log = structlog.get_logger()

BLOCK_MS = 200  # a stop is noticed at most this late
READ_ENTRIES_MAX = 1000
READ_BYTES_MAX = 8 << 20  # JSON of one read of one stream, by what entries held lately
FIRST_ENTRIES = 16
CLAIM_ENTRIES_MAX = 100
STUCK_IDLE_TIMES = 3  # whose entries were taken over and who still holds its locks by then

Step = Callable[[], Awaitable[None]]


class Consumer:
    """The lanes of one worker process. They share what is in hand, so that none takes it over from another."""

    def __init__(
        self, redis: Redis, handler: Handler, metrics: WorkerMetrics, settings: Settings, name: str, stop: asyncio.Event
    ) -> None:
        self._redis = redis
        self._handler = handler
        self._metrics = metrics
        self._settings = settings
        self._name = name
        self._stop = stop
        self._in_hand: set[str] = set()
        # As if entries were large, so that the first read after an outage is a small one.
        self._scores_per_entry = settings.persist_scores_max / FIRST_ENTRIES
        self._bytes_per_entry = READ_BYTES_MAX / FIRST_ENTRIES

    async def run(self) -> None:
        """Consume until `stop` is set, then finish what is in hand. Whatever goes wrong with Redis is waited out."""
        await self._make_groups()
        async with asyncio.TaskGroup() as lanes:
            for number in range(self._settings.worker_lanes):
                lanes.create_task(self._lane(self._take_new), name=f"lane-{number}")
            lanes.create_task(self._lane(self._take_over), name="take-over")
            lanes.create_task(self._lane(self._end_stuck_writers), name="end-stuck-writers")

    async def _lane(self, step: Step) -> None:
        wait = waits()
        while not self._stop.is_set():
            try:
                await step()
            except Stopped:
                return
            except ResponseError as error:
                log.warning("queue_groups_made_again", reason=str(error)[:100])
                await self._pause(next(wait))
                await self._make_groups()
            except (RedisError, OSError) as error:
                log.warning("queue_unreachable", reason=type(error).__name__)
                await self._pause(next(wait))
            else:
                wait = waits()

    async def _make_groups(self) -> None:
        """A new Redis has no groups, nor has one that came back empty; one that is full or just loading will be asked
        again."""
        try:
            await queue.ensure_groups(self._redis, self._settings.queue_shards)
        except (RedisError, OSError) as error:
            log.warning("queue_unreachable", reason=type(error).__name__)

    async def _take_new(self) -> None:
        entries = await self._read(BLOCK_MS)
        if entries and self._is_small(entries) and self._settings.linger_ms:
            await asyncio.sleep(self._settings.linger_ms / 1000)
            entries += await self._read(None)
        await self._handle(entries)

    async def _read(self, block_ms: int | None) -> list[Entry]:
        by_scores = self._settings.persist_scores_max / self._scores_per_entry
        by_bytes = READ_BYTES_MAX / self._bytes_per_entry
        count = max(1, int(min(READ_ENTRIES_MAX, by_scores, by_bytes)))
        return await queue.read(self._redis, self._name, self._settings.queue_shards, count=count, block_ms=block_ms)

    def _is_small(self, entries: list[Entry]) -> bool:
        return len(entries) * self._scores_per_entry < self._settings.persist_scores_max / 4

    async def _take_over(self) -> None:
        idle_ms = int(self._settings.claim_idle_seconds * 1000)
        found_most = 0
        for stream in queue.streams_of(self._settings.queue_shards):
            found = await queue.claim(self._redis, self._name, stream, idle_ms=idle_ms, count=CLAIM_ENTRIES_MAX)
            found_most = max(found_most, len(found))
            entries = [entry for entry in found if entry.batch_id not in self._in_hand]
            if entries:
                self._metrics.claimed.inc(len(entries))
                log.info("entries_taken_over", stream=stream, entries=len(entries))
                await self._handle(entries)
        if found_most < CLAIM_ENTRIES_MAX:  # else there is more to take over
            await self._pause(self._settings.claim_idle_seconds / 2)

    async def _handle(self, entries: list[Entry]) -> None:
        if not entries:
            return
        batch_ids = [entry.batch_id for entry in entries]
        self._in_hand.update(batch_ids)
        try:
            handled = await self._handler.handle(entries)
        finally:
            self._in_hand.difference_update(batch_ids)
        self._scores_per_entry = max(1.0, 0.8 * self._scores_per_entry + 0.2 * handled.scores / len(entries))
        # What an entry holds may be a thousand times what it was: up at once, down slowly.
        found = handled.bytes / len(entries)
        self._bytes_per_entry = max(1.0, found, 0.8 * self._bytes_per_entry + 0.2 * found)

    async def _end_stuck_writers(self) -> None:
        await self._pause(self._settings.claim_idle_seconds)
        await self._handler.end_stuck_writers(STUCK_IDLE_TIMES * self._settings.claim_idle_seconds)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
