"""The dead letters: entries that no worker could read or write, kept whole until an operator has them tried again.

A stream of the entries, and a hash that says of each batch whose it is, so that its receipt can be asked for.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from shared.envelope import Address, address_of
from shared.queue import FIELD, GROUP, Entry, key_of, place_of_batch, version_of

STREAM = "assay:dead-letters"
ADDRESSES = "assay:dead-letters:addresses"  # batch id → whose it is
_PLACES_AT_ONCE = 1000


class DeadLetter(Struct, frozen=True):
    """`handle` is its own id in the stream of dead letters; it begins with when it came there (ms since 1970)."""

    handle: str
    entry: Entry
    reason: str


async def bury(redis: Redis, entry: Entry, reason: str) -> None:
    """Move an entry of the queue to the dead letters, whole and in one transaction."""
    pipeline = redis.pipeline(transaction=True)
    pipeline.xadd(STREAM, {FIELD: entry.data, b"stream": entry.stream, b"entry_id": entry.entry_id, b"reason": reason})
    pipeline.hset(ADDRESSES, entry.batch_id, msgspec.msgpack.encode(address_of(entry.data)))  # type: ignore[arg-type]
    pipeline.xack(key_of(entry.stream), GROUP, entry.entry_id)
    pipeline.xdel(key_of(entry.stream), entry.entry_id)
    await pipeline.execute()


async def dead_letters(redis: Redis) -> AsyncIterator[DeadLetter]:
    """All of them, the oldest first, one at a time: each can have some megabytes."""
    after = "-"
    while found := await redis.xrange(STREAM, min=after, count=1):
        [(handle, fields)] = found
        entry = Entry(int(fields[b"stream"]), fields[b"entry_id"].decode(), fields[FIELD])
        yield DeadLetter(handle.decode(), entry, fields[b"reason"].decode())
        after = f"({handle.decode()}"


async def remove(redis: Redis, letter: DeadLetter) -> None:
    pipeline = redis.pipeline(transaction=True)
    pipeline.xdel(STREAM, letter.handle)
    pipeline.hdel(ADDRESSES, letter.entry.batch_id)
    await pipeline.execute()


async def count(redis: Redis) -> int:
    return int(await redis.xlen(STREAM))


async def address_in(redis: Redis, batch_id: str) -> Address | None:
    """Whose batch it is, or None if it is no dead letter."""
    found: Any = await redis.hget(ADDRESSES, batch_id)  # type: ignore[misc]
    return None if found is None else msgspec.msgpack.decode(found, type=Address)


async def places(redis: Redis) -> list[tuple[int, str]]:
    """(stream, entry id) of each: where in the queue it once was."""
    batch_ids: list[bytes] = await redis.hkeys(ADDRESSES)  # type: ignore[misc]
    found = []
    for number, batch_id in enumerate(batch_ids, 1):
        if (place := place_of_batch(batch_id.decode())) is not None:
            found.append(place)
        if number % _PLACES_AT_ONCE == 0:
            await asyncio.sleep(0)  # there can be very many, and others want their turn
    return found


async def oldest_version(redis: Redis) -> int | None:
    return min((version_of(*place) for place in await places(redis)), default=None)
