"""The directory of API keys in Redis, by which ingest knows keys without asking Postgres.

One Redis hash: SHA-256 of the key → its `Grant`. The api publishes changes as it makes them, the worker's schedule
reconciles the whole, and a Redis that lost its memory is filled again by that.
"""

import asyncio
from collections.abc import Mapping

import msgspec
from redis.asyncio import Redis

from shared.keys import Grant

DIRECTORY = "assay:keys"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Grant)


async def publish(redis: Redis, key_hash: bytes, grant: Grant) -> None:
    await redis.hset(DIRECTORY, key_hash, _encoder.encode(grant))  # type: ignore[misc, arg-type]


async def look_up(redis: Redis, key_hash: bytes) -> Grant | None:
    stored = await redis.hget(DIRECTORY, key_hash)  # type: ignore[misc, arg-type]
    return None if stored is None else _decoder.decode(stored)


async def reconcile(redis: Redis, grants: Mapping[bytes, Grant]) -> int:
    """Make the directory equal to `grants`; returns how many entries were wrong. Running it twice changes nothing."""
    wanted = {key_hash: _encoder.encode(grant) for key_hash, grant in grants.items()}
    present: dict[bytes, bytes] = await redis.hgetall(DIRECTORY)  # type: ignore[misc]
    wrong = {key_hash: grant for key_hash, grant in wanted.items() if present.get(key_hash) != grant}
    gone = present.keys() - wanted.keys()
    await asyncio.gather(
        *([redis.hset(DIRECTORY, mapping=wrong)] if wrong else []),  # type: ignore[arg-type]
        *([redis.hdel(DIRECTORY, *gone)] if gone else []),  # type: ignore[arg-type]
    )
    return len(wrong) + len(gone)
