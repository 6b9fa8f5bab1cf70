"""The queue of scores: Redis Streams, sharded by project, read by one consumer group (SPEC 6).

An entry is one batch of one project. A project has one shard, so its entries are in the order in which they came, and
the entry id, which Redis makes and which never goes back, says so: it orders all writes to one score (`version_of`).
Nothing is ever trimmed: an entry leaves only through `acknowledge`, after its Postgres transaction has committed.
"""

import binascii
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

GROUP = "persist"
DEAD_LETTERS = "assay:dead-letters"
FIELD = b"e"

# 2^21 entries of one millisecond come before the next one's; 2^42 ms last until the year 2109.
_SEQUENCE_BITS = 21


class Entry(Struct, frozen=True):
    """One entry as delivered: `entry_id` is Redis's, like `1763625600123-0`."""

    shard: int
    entry_id: str
    data: bytes

    @property
    def batch_id(self) -> str:
        return batch_id_of(self.shard, self.entry_id)


def stream_of(shard: int) -> str:
    return f"assay:scores:{shard}"


def shard_of(project_id: UUID, shards: int) -> int:
    return binascii.crc32(project_id.bytes) % shards


def batch_id_of(shard: int, entry_id: str) -> str:
    """The handle that a sender gets: the place in the queue, so that a receipt needs no bookkeeping of its own."""
    return f"{entry_id}-{shard}"


def place_of_batch(batch_id: str) -> tuple[int, str] | None:
    """(shard, entry id) of a batch id, or None if it can't be one."""
    parts = batch_id.split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 20 for part in parts):
        return None
    return int(parts[2]), f"{parts[0]}-{parts[1]}"


def version_of(entry_id: str) -> int:
    """A 63-bit number in the order of a stream's entry ids. Should a clock that jumped back pin Redis to one
    millisecond for more than 2^21 entries, the count runs on into the milliseconds and stays in order."""
    ms, sequence = entry_id.split("-")
    return (int(ms) << _SEQUENCE_BITS) + int(sequence)


async def ensure_groups(redis: Redis, shards: int) -> None:
    """Make streams and consumer group where they are missing: at start, and when Redis came back empty."""
    for shard in range(shards):
        try:
            await redis.xgroup_create(stream_of(shard), GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise


async def read(redis: Redis, consumer: str, shards: Iterable[int], *, count: int, block_ms: int | None) -> list[Entry]:
    """New entries, at most `count` of each shard, so that no shard waits for another. Waits up to `block_ms`."""
    streams: dict[Any, Any] = {stream_of(shard): ">" for shard in shards}
    answer = await redis.xreadgroup(GROUP, consumer, streams, count=count, block=block_ms)
    return [
        Entry(int(stream.rsplit(b":", 1)[1]), entry_id.decode(), fields[FIELD])
        for stream, entries in answer
        for entry_id, fields in entries
    ]


async def claim(redis: Redis, consumer: str, shard: int, *, idle_ms: int, count: int) -> list[Entry]:
    """Take over entries that another consumer was given and has not finished for `idle_ms`."""
    answer: Any = await redis.xautoclaim(stream_of(shard), GROUP, consumer, min_idle_time=idle_ms, count=count)
    return [
        Entry(shard, entry_id.decode(), fields[FIELD])
        for entry_id, fields in answer[1]
        if fields  # deleted meanwhile: Redis 6.2 hands those out as nil
    ]


async def acknowledge(redis: Redis, entries: Sequence[Entry]) -> None:
    """Let go of entries that are safe in Postgres: acknowledged and deleted. Twice is harmless."""
    by_shard: dict[int, list[str]] = {}
    for entry in entries:
        by_shard.setdefault(entry.shard, []).append(entry.entry_id)
    pipeline = redis.pipeline(transaction=False)
    for shard, entry_ids in by_shard.items():
        pipeline.xack(stream_of(shard), GROUP, *entry_ids)
        pipeline.xdel(stream_of(shard), *entry_ids)
    await pipeline.execute()


async def bury(redis: Redis, entry: Entry, reason: str) -> None:
    """Move an entry that can't be read to the dead letters, whole and in one transaction."""
    pipeline = redis.pipeline(transaction=True)
    pipeline.xadd(
        DEAD_LETTERS,
        {FIELD: entry.data, b"shard": entry.shard, b"entry_id": entry.entry_id, b"reason": reason},
    )
    pipeline.xack(stream_of(entry.shard), GROUP, entry.entry_id)
    pipeline.xdel(stream_of(entry.shard), entry.entry_id)
    await pipeline.execute()


async def find(redis: Redis, batch_id: str) -> Entry | None:
    """The entry of a batch that is still in the queue, or None."""
    place = place_of_batch(batch_id)
    if place is None:
        return None
    shard, entry_id = place
    found: Any = await redis.xrange(stream_of(shard), min=entry_id, max=entry_id)
    return Entry(shard, entry_id, found[0][1][FIELD]) if found else None


class ShardState(Struct, frozen=True):
    """How one shard stands. `oldest_ms` is when its oldest unfinished entry came (ms since 1970), None if empty."""

    shard: int
    entries: int
    pending: int
    bytes_used: int
    oldest_ms: int | None


async def states(redis: Redis, shards: int) -> tuple[int, list[ShardState]]:
    """Redis's own time in ms (asked first), and the state of every shard after it."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.time()
    for shard in range(shards):
        stream = stream_of(shard)
        pipeline.xlen(stream)
        pipeline.memory_usage(stream, samples=5)
        pipeline.xrange(stream, count=1)
        pipeline.execute_command("XPENDING", stream, GROUP)
    (seconds, microseconds), *answers = await pipeline.execute(raise_on_error=False)
    now_ms = seconds * 1000 + microseconds // 1000
    return now_ms, [_state(shard, *answers[shard * 4 : shard * 4 + 4]) for shard in range(shards)]


def _state(shard: int, entries: Any, bytes_used: Any, first: Any, pending: Any) -> ShardState:
    for answer in (entries, bytes_used, first):
        if isinstance(answer, Exception):
            raise answer
    return ShardState(
        shard=shard,
        entries=entries,
        pending=0 if isinstance(pending, Exception) else _pending_count(pending),  # no group yet: nothing pending
        bytes_used=bytes_used or 0,
        oldest_ms=int(first[0][0].split(b"-")[0]) if first else None,
    )


def _pending_count(answer: Any) -> int:
    return int(answer["pending"] if isinstance(answer, dict) else answer[0])
