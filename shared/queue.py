"""The queue of scores: Redis Streams, sharded by project, read by one consumer group (SPEC 6).

An entry is one batch of one project. A shard has two streams: its own, and a bulk stream for projects that send more
than their share just now, so that the others of the shard need not wait behind them. The entry id, which Redis makes
and which never goes back, orders all writes to one score (`version_of`). Nothing is ever trimmed: an entry leaves only
through `acknowledge`, after its Postgres transaction has committed.

Streams are numbered: twice the shard's number, and one more for its bulk stream.
"""

import binascii
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

GROUP = "persist"
FIELD = b"e"

# 2^20 entries of one millisecond and stream come before the next one's; 2^42 ms last until the year 2109.
_SEQUENCE_BITS = 21
_BULK_IS_LATER = 1 << 20

_KEY = re.compile(rb"assay:scores:(\d{1,9})(:bulk)?")
_SCAN_KEYS = 1000

_ENTRY_ID_PART_MAX = (1 << 64) - 1  # Redis's own limit


class Entry(Struct, frozen=True):
    """One entry as delivered: `entry_id` is Redis's, like `1763625600123-0`."""

    stream: int
    entry_id: str
    data: bytes

    @property
    def batch_id(self) -> str:
        return batch_id_of(self.stream, self.entry_id)

    @property
    def version(self) -> int:
        return version_of(self.stream, self.entry_id)


def stream_of(project_id: UUID, shards: int, *, bulk: bool = False) -> int:
    """The number of the project's stream, or of its bulk stream."""
    return binascii.crc32(project_id.bytes) % shards * 2 + bulk


def streams_of(shards: int) -> range:
    """The numbers of all streams."""
    return range(2 * shards)


def key_of(stream: int) -> str:
    """The stream's key in Redis."""
    return f"assay:scores:{stream // 2}" + (":bulk" if stream % 2 else "")


def _stream_at(key: bytes) -> int | None:
    """The number of the stream with that key, if it is one of scores."""
    found = _KEY.fullmatch(key)
    return None if found is None else 2 * int(found[1]) + (found[2] is not None)


def label_of(stream: int) -> str:
    """For metrics: the shard's number, and `-bulk` for its bulk stream."""
    return f"{stream // 2}" + ("-bulk" if stream % 2 else "")


def batch_id_of(stream: int, entry_id: str) -> str:
    """The handle that a sender gets: the place in the queue, so that a receipt needs no bookkeeping of its own."""
    return f"{entry_id}-{stream}"


def place_of_batch(batch_id: str) -> tuple[int, str] | None:
    """(stream, entry id) of a batch id, or None if it can't be one."""
    parts = batch_id.split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 20 for part in parts):
        return None
    if max(map(int, parts)) > _ENTRY_ID_PART_MAX:
        return None
    return int(parts[2]), f"{parts[0]}-{parts[1]}"


def version_of(stream: int, entry_id: str) -> int:
    """A 63-bit number that orders the entries of one project as they were received.

    A project goes over to its bulk stream from one entry to the next and comes back only after a pause: within one
    millisecond a bulk entry is the later one. When Redis's clock is set back, a stream's count runs on in the last
    millisecond and stays in order; see `level` for what that means between the two streams.
    """
    ms, sequence = entry_id.split("-")
    return (int(ms) << _SEQUENCE_BITS) + int(sequence) + (_BULK_IS_LATER if stream % 2 else 0)


def milliseconds_of(version: int) -> int:
    """When the entry of that version was received, by the clock of Redis: what its batch id begins with."""
    return version >> _SEQUENCE_BITS


async def ensure_groups(redis: Redis, shards: int) -> None:
    """Make streams and consumer group where they are missing: at start, and when Redis came back empty. Writes nothing
    where they are there: a Redis that is full would refuse it, and only a worker can empty it."""
    for stream in streams_of(shards):
        if not await _has_group(redis, stream):
            await _make_group(redis, stream)


async def _make_group(redis: Redis, stream: int) -> None:
    try:
        await redis.xgroup_create(key_of(stream), GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


async def _has_group(redis: Redis, stream: int) -> bool:
    try:
        groups: Any = await redis.xinfo_groups(key_of(stream))
    except ResponseError:  # no such stream
        return False
    return any(group["name"] == GROUP.encode() for group in groups)


async def read(redis: Redis, consumer: str, shards: int, *, count: int, block_ms: int | None) -> list[Entry]:
    """New entries, at most `count` of each stream, so that none waits for another; bulk streams come last.

    Waits up to `block_ms` for the first one.
    """
    number_of = {key_of(stream).encode(): stream for stream in streams_of(shards)}
    streams: dict[Any, Any] = dict.fromkeys(number_of, ">")
    answer = await redis.xreadgroup(GROUP, consumer, streams, count=count, block=block_ms)
    entries = [
        Entry(number_of[key], entry_id.decode(), fields.get(FIELD, b""))
        for key, found in answer
        for entry_id, fields in found
    ]
    return sorted(entries, key=lambda entry: entry.stream % 2)


async def claim(redis: Redis, consumer: str, stream: int, *, idle_ms: int, count: int) -> list[Entry]:
    """Take over entries that another consumer was given and has not finished for `idle_ms`."""
    answer: Any = await redis.xautoclaim(key_of(stream), GROUP, consumer, min_idle_time=idle_ms, count=count)
    return [
        Entry(stream, entry_id.decode(), fields.get(FIELD, b""))
        for entry_id, fields in answer[1]
        if fields  # deleted meanwhile: Redis 6.2 hands those out as nil
    ]


async def acknowledge(redis: Redis, entries: Sequence[Entry]) -> None:
    """Let go of entries that are safe in Postgres: acknowledged and deleted. Twice is harmless."""
    by_stream: dict[int, list[str]] = {}
    for entry in entries:
        by_stream.setdefault(entry.stream, []).append(entry.entry_id)
    pipeline = redis.pipeline(transaction=False)
    for stream, entry_ids in by_stream.items():
        pipeline.xack(key_of(stream), GROUP, *entry_ids)
        pipeline.xdel(key_of(stream), *entry_ids)
    await pipeline.execute()


async def find(redis: Redis, batch_id: str) -> Entry | None:
    """The entry of a batch that is still in the queue, or None."""
    place = place_of_batch(batch_id)
    if place is None:
        return None
    stream, entry_id = place
    found: Any = await redis.xrange(key_of(stream), min=entry_id, max=entry_id)
    return Entry(stream, entry_id, found[0][1].get(FIELD, b"")) if found else None


class StreamState(Struct, frozen=True):
    """How one stream stands. `oldest_ms` is when its oldest unfinished entry came (ms since 1970), None if empty.
    `ahead_ms` is how far its newest id is ahead of Redis's time: more than 0 only after its clock was set back."""

    stream: int
    entries: int
    pending: int
    bytes_used: int
    oldest_ms: int | None
    ahead_ms: int

    @property
    def label(self) -> str:
        return label_of(self.stream)

    def age_seconds(self, now_ms: int) -> float:
        """Of its oldest unfinished entry; 0 if it has none."""
        return 0.0 if self.oldest_ms is None else max(0.0, (now_ms - self.oldest_ms) / 1000)


async def states(redis: Redis, shards: int) -> tuple[int, list[StreamState]]:
    """Redis's own time in ms (asked first), and the state of every stream after it."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.time()
    for stream in streams_of(shards):
        key = key_of(stream)
        pipeline.xinfo_stream(key)
        pipeline.memory_usage(key, samples=5)
        pipeline.execute_command("XPENDING", key, GROUP)
    pipeline.time()  # once more: an id that was given out meanwhile is not ahead
    before, *answers, after = await pipeline.execute(raise_on_error=False)
    after_ms = _in_ms(after)
    found = [_state(stream, after_ms, *answers[stream * 3 : stream * 3 + 3]) for stream in streams_of(shards)]
    return _in_ms(before), found


async def stranded(redis: Redis, shards: int) -> dict[int, int]:
    """How many entries wait in each stream of scores that is none of these shards': it has some only if somebody counts
    or has counted with more of them. Nobody who counts with these reads it."""
    read = streams_of(shards)
    found = {}
    async for key in redis.scan_iter(match="assay:scores:*", count=_SCAN_KEYS, _type="stream"):
        stream = _stream_at(key)
        if stream is not None and stream not in read and (entries := await redis.xlen(key)):
            found[stream] = entries
    return found


def _in_ms(time: Any) -> int:
    if isinstance(time, Exception):
        raise time
    seconds, microseconds = time
    return int(seconds * 1000 + microseconds // 1000)


def _state(stream: int, now_ms: int, info: Any, bytes_used: Any, pending: Any) -> StreamState:
    if isinstance(info, ResponseError) and "no such key" in str(info):
        info = {"length": 0, "first-entry": None, "last-generated-id": b"0-0"}
    for answer in (info, bytes_used):
        if isinstance(answer, Exception):
            raise answer
    first = info["first-entry"]
    return StreamState(
        stream=stream,
        entries=info["length"],
        pending=0 if isinstance(pending, Exception) else _pending_count(pending),  # no group yet: nothing pending
        bytes_used=bytes_used or 0,
        oldest_ms=None if first is None else _parts_of(first[0])[0],
        ahead_ms=max(0, _parts_of(info["last-generated-id"])[0] - now_ms),
    )


def _pending_count(answer: Any) -> int:
    return int(answer["pending"] if isinstance(answer, dict) else answer[0])


async def level(redis: Redis, shard: int) -> None:
    """Bring a shard's own stream past its bulk stream. For when Redis's clock was set back and the streams, each of
    which never goes back, stand at different times; until it has caught up, only the own one is written to.

    To the millisecond after the bulk stream's: within the same one, a bulk entry would be the later one.
    """
    own, bulk = [await _last_id(redis, 2 * shard + bulk) for bulk in (0, 1)]
    bulk_ms = _parts_of(bulk)[0]
    if bulk_ms >= _parts_of(own)[0]:
        await _make_group(redis, 2 * shard)  # and with it the stream, where it is missing
        await redis.execute_command("XSETID", key_of(2 * shard), f"{bulk_ms + 1}-0")  # type: ignore[no-untyped-call]


async def _last_id(redis: Redis, stream: int) -> bytes:
    """The newest id that a stream has given out; `0-0` where there is no such stream."""
    try:
        info: Any = await redis.xinfo_stream(key_of(stream))
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return b"0-0"
    last_id: bytes = info["last-generated-id"]
    return last_id


def _parts_of(entry_id: bytes) -> tuple[int, int]:
    ms, sequence = entry_id.split(b"-")
    return int(ms), int(sequence)


async def oldest_version(redis: Redis, project_id: UUID, shards: int) -> int:
    """A version that nothing of the project that is still in the queue, or ever comes, is below."""
    oldest = []
    for bulk in (False, True):
        stream = stream_of(project_id, shards, bulk=bulk)
        first: Any = await redis.xrange(key_of(stream), count=1)
        if first:
            oldest.append(version_of(stream, first[0][0].decode()))
    return min(oldest) if oldest else await newest_version(redis, project_id, shards)


async def newest_version(redis: Redis, project_id: UUID, shards: int) -> int:
    """A version that no entry received so far exceeds and every later one does: the place of a delete among writes."""
    seconds, microseconds = await redis.time()
    newest = version_of(0, f"{seconds * 1000 + microseconds // 1000}-0") - 1  # for a Redis that came back empty
    for bulk in (False, True):
        stream = stream_of(project_id, shards, bulk=bulk)
        newest = max(newest, version_of(stream, (await _last_id(redis, stream)).decode()))
    return newest
