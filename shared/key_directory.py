"""The directory of API keys in Redis, by which ingest knows keys without asking Postgres.

One Redis hash: SHA-256 of the key → its `Grant`, and a mark that it is whole. The api publishes changes as it makes
them, the worker's schedule reconciles the whole. A Redis that lost its memory has no mark, until that schedule has
filled it again: meanwhile nobody can say of a key that it is unknown.

Beside it lies when each key was last used, as told by whoever let it in, until the worker has written that down.
"""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import QueueUnavailable
from shared.keys import Grant

DIRECTORY = "assay:keys"
USED = "assay:keys:used"
WHOLE = b"whole"  # no key's hash: those have 32 bytes

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Grant)


async def publish(redis: Redis, key_hash: bytes, grant: Grant) -> None:
    await redis.hset(DIRECTORY, key_hash, _encoder.encode(grant))  # type: ignore[misc, arg-type]


async def withdraw(redis: Redis, key_hash: bytes) -> None:
    await redis.hdel(DIRECTORY, key_hash)  # type: ignore[misc, arg-type]


async def mark_whole(redis: Redis) -> None:
    """Whoever is not in it is unknown."""
    await redis.hset(DIRECTORY, WHOLE, b"1")  # type: ignore[misc, arg-type]


async def look_up(redis: Redis, key_hash: bytes) -> Grant | None:
    """Raises `QueueUnavailable` where it can't be told whether there is such a key."""
    try:
        stored, whole = await redis.hmget(DIRECTORY, [key_hash, WHOLE])  # type: ignore[misc]
    except (RedisError, OSError) as error:
        raise QueueUnavailable("The queue can't be reached.") from error
    if stored is not None:
        return _decoder.decode(stored)
    if whole is None:
        raise QueueUnavailable("The directory of API keys is not complete yet.", code="keys_unavailable")
    return None


async def directory(redis: Redis) -> dict[bytes, bytes]:
    """As it is, for `reconcile`."""
    present: dict[bytes, bytes] = await redis.hgetall(DIRECTORY)  # type: ignore[misc]
    return present


async def reconcile(redis: Redis, present: Mapping[bytes, bytes], grants: Mapping[bytes, Grant]) -> int:
    """Make the directory equal to `grants`, and whole; returns how many keys were wrong. Twice changes nothing.

    `present` was read before `grants` were: a key that is published in between is not in it, and so not withdrawn.
    """
    wanted = {key_hash: _encoder.encode(grant) for key_hash, grant in grants.items()} | {WHOLE: b"1"}
    wrong = {key_hash: grant for key_hash, grant in wanted.items() if present.get(key_hash) != grant}
    gone = present.keys() - wanted.keys()
    await asyncio.gather(
        *([redis.hset(DIRECTORY, mapping=wrong)] if wrong else []),  # type: ignore[arg-type]
        *([redis.hdel(DIRECTORY, *gone)] if gone else []),  # type: ignore[arg-type]
    )
    return len(wrong.keys() - {WHOLE}) + len(gone)


async def tell_used(redis: Redis, used: Mapping[UUID, float]) -> None:
    """When each key was last used, in seconds since the epoch."""
    await redis.hset(USED, mapping={key_id.bytes: round(at) for key_id, at in used.items()})  # type: ignore[misc]


async def told_used(redis: Redis) -> dict[UUID, float]:
    told: dict[bytes, bytes] = await redis.hgetall(USED)  # type: ignore[misc]
    return {UUID(bytes=key_id): float(at) for key_id, at in told.items()}


async def forget_used(redis: Redis, key_ids: list[UUID]) -> None:
    if key_ids:
        await redis.hdel(USED, *(key_id.bytes for key_id in key_ids))  # type: ignore[misc, arg-type]
