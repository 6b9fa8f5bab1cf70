"""Know API keys without Postgres: ask the directory in Redis, remember the answer for a few seconds."""

import time
from collections import OrderedDict

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request

from shared.clock import utc_now
from shared.errors import NotAuthenticated, QueueUnavailable
from shared.http.credentials import key_of
from shared.key_directory import look_up
from shared.keys import Grant, hash_of

CACHED_KEYS_MAX = 10_000
UNKNOWN_SECONDS = 1.0


class KeyCache:
    """At most `CACHED_KEYS_MAX` keys; an unknown key is remembered for a shorter time than a known one."""

    def __init__(self, redis: Redis, known_seconds: float) -> None:
        self._redis = redis
        self._known_seconds = known_seconds
        self._cached: OrderedDict[bytes, tuple[float, Grant | None]] = OrderedDict()

    async def authenticate(self, request: Request) -> Grant:
        """The grant of the request's key. Raises `NotAuthenticated`, or `QueueUnavailable` when that can't be told."""
        grant = await self._grant_of(hash_of(key_of(request)))
        if grant is None:
            raise NotAuthenticated("This API key is not known, or was revoked.", code="unknown_key")
        if grant.is_expired(utc_now()):
            raise NotAuthenticated("This API key has expired.", code="expired_key")
        return grant

    async def _grant_of(self, key_hash: bytes) -> Grant | None:
        cached = self._cached.get(key_hash)
        if cached is not None and cached[0] > time.monotonic():
            return cached[1]
        try:
            grant = await look_up(self._redis, key_hash)
        except (RedisError, OSError) as error:
            raise QueueUnavailable("The queue can't be reached.") from error
        seconds = UNKNOWN_SECONDS if grant is None else self._known_seconds
        self._cached[key_hash] = (time.monotonic() + seconds, grant)
        self._cached.move_to_end(key_hash)
        if len(self._cached) > CACHED_KEYS_MAX:
            self._cached.popitem(last=False)
        return grant
