"""Group commit: requests that arrive while a write to Redis is under way share the next one.

`add` returns only after the request's own entry is in. Under load each write carries as many entries as have come
meanwhile: the slower Redis, the larger the groups. Two writes may be under way, so that Redis has work while the
answers of the one before are told; who waits for an answer before sending again keeps his order all the same.

With `replicas`, an entry is in only once as many replicas of Redis have it too, so that a failover does not lose it.
"""

import asyncio
import time
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from services.ingest.metrics import IngestMetrics
from shared.errors import QueueFull, QueueUnavailable
from shared.queue import FIELD, key_of

GROUP_ENTRIES_MAX = 1000
GROUP_BYTES_MAX = 16 << 20
WRITES_UNDER_WAY_MAX = 2
WAITING_BYTES_MAX = 128 << 20

log = structlog.get_logger()

_Waiting = tuple[int, bytes, "asyncio.Future[str]"]


class NotReplicated(Exception):
    """Redis has it, and too few of its replicas."""


class GroupCommit:
    def __init__(
        self, redis: Redis, metrics: IngestMetrics, *, replicas: int = 0, replicas_seconds: float = 1.0
    ) -> None:
        self._redis = redis
        self._metrics = metrics
        self._replicas = replicas
        self._replicas_ms = max(1, round(replicas_seconds * 1000))  # 0 would be for ever
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._wake = asyncio.Event()

    async def add(self, stream: int, data: bytes) -> str:
        """Put one entry into the queue; its entry id. Raises `QueueUnavailable` or `QueueFull`.

        Then its sender must not be told that it is in. After a broken connection it can be in all the same; sending it
        again is harmless when its ids are the sender's.
        """
        if self._waiting_bytes >= WAITING_BYTES_MAX:
            raise QueueUnavailable("The queue does not answer, and too much waits for it already.")
        self._waiting_bytes += len(data)
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((stream, data, done))
        self._wake.set()
        return await done

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        await asyncio.gather(*(self._write_groups() for _ in range(WRITES_UNDER_WAY_MAX)))

    async def _write_groups(self) -> None:
        while True:
            await self._wake.wait()
            group = self._next_group()
            if not self._waiting:
                self._wake.clear()
            if group:
                await self._write(group)

    def _next_group(self) -> list[_Waiting]:
        taken = size = 0
        while taken < min(len(self._waiting), GROUP_ENTRIES_MAX) and size < GROUP_BYTES_MAX:
            size += len(self._waiting[taken][1])
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        self._waiting_bytes -= size
        return group

    async def _write(self, group: list[_Waiting]) -> None:
        started = time.perf_counter()
        put_in = self._put_in_replicated if self._replicas else self._put_in
        try:
            answers = await put_in(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            log.warning("enqueue_failed", reason=type(error).__name__, entries=len(group), waiting=len(self._waiting))
            # Who waits behind would only wait for the same: all are told now.
            group, self._waiting, self._waiting_bytes = group + self._waiting, [], 0
            answers = [error] * len(group)
        else:
            self._metrics.commit_entries.observe(len(group))
            self._metrics.commit_seconds.observe(time.perf_counter() - started)
        for (_, _, done), answer in zip(group, answers, strict=True):
            if not done.done():  # its client may have gone
                _settle(done, answer)

    async def _put_in(self, group: list[_Waiting]) -> list[Any]:
        """An entry id or an error for each."""
        # As one transaction Redis writes and syncs its file once for the group. Without it, it does so for each 16 KiB
        # that it has read: that made `appendfsync always` cost a sync for every batch of 100.
        pipeline = self._redis.pipeline(transaction=len(group) > 1)
        for stream, data, _ in group:
            pipeline.execute_command("XADD", key_of(stream), "*", FIELD, data)
        return await pipeline.execute(raise_on_error=False)

    async def _put_in_replicated(self, group: list[_Waiting]) -> list[Any]:
        """The same, and no entry id before enough replicas have the group. In one round trip too: WAIT goes behind the
        transaction, for inside it would not wait."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.execute_command("MULTI")
        for stream, data, _ in group:
            pipeline.execute_command("XADD", key_of(stream), "*", FIELD, data)
        pipeline.execute_command("EXEC")
        pipeline.execute_command("WAIT", self._replicas, self._replicas_ms)
        _, *queued, entry_ids, confirmed = await pipeline.execute(raise_on_error=False)
        if isinstance(entry_ids, Exception):  # nothing went in; the first that was refused says why
            refusals = (answer for answer in queued if isinstance(answer, Exception))
            return [next(refusals, entry_ids)] * len(group)
        if isinstance(confirmed, Exception) or confirmed < self._replicas:
            await self._tell_unreplicated(group, confirmed)
            return [NotReplicated()] * len(group)
        return list(entry_ids)

    async def _tell_unreplicated(self, group: list[_Waiting], confirmed: int | Exception) -> None:
        """This may be a master that others have left for another one: who opens a new connection will hear of it."""
        found = type(confirmed).__name__ if isinstance(confirmed, Exception) else confirmed
        log.warning("enqueue_not_replicated", entries=len(group), replicas=found, wanted=self._replicas)
        self._metrics.unreplicated.inc(len(group))
        await self._redis.connection_pool.disconnect(inuse_connections=False)


def _settle(done: "asyncio.Future[str]", answer: bytes | Exception) -> None:
    match answer:
        case bytes():
            done.set_result(answer.decode())
        case OutOfMemoryError():
            done.set_exception(QueueFull("The queue has no memory left."))
        case NotReplicated():
            done.set_exception(QueueUnavailable("Too few replicas of the queue have confirmed it."))
        case _:
            done.set_exception(QueueUnavailable("The queue can't be reached."))
