"""API keys as a process knows them: asked for once, then trusted for some seconds, and which were used when."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from uuid import UUID

from shared.clock import utc_now
from shared.errors import NotAuthenticated, TryLater
from shared.keys import Grant, hash_of

CACHED_KEYS_MAX = 10_000
UNKNOWN_SECONDS = 1.0
# How long a key that was known is trusted while nobody can be asked: ingest goes on across a Redis that lost its
# memory, and while Postgres, from which it would be filled again, is away.
TRUSTED_SECONDS_MAX = 3600.0

LookUp = Callable[[bytes], Awaitable[Grant | None]]
"""The grant of a key's hash; None when there is no such key. Raises `TryLater` when that can't be told."""


class KnownKeys:
    """At most `CACHED_KEYS_MAX` of each kind; an unknown key is remembered for a shorter time than a known one. `used`
    is when each was last used, in seconds since the epoch, for whoever writes that down."""

    def __init__(self, look_up: LookUp, known_seconds: float) -> None:
        self._look_up = look_up
        self._known_seconds = known_seconds
        # Apart, so that who tries many keys that there are not pushes out none that there is.
        self._known: OrderedDict[bytes, tuple[float, Grant | None]] = OrderedDict()
        self._unknown: OrderedDict[bytes, tuple[float, Grant | None]] = OrderedDict()
        self.used: dict[UUID, float] = {}

    async def grant_of(self, key: str) -> Grant:
        """What the key stands for. Raises `NotAuthenticated`, or `TryLater` when that can't be told."""
        grant = await self._grant_of(hash_of(key))
        if grant is None:
            raise NotAuthenticated("This API key is not known, or was revoked.", code="unknown_key")
        if grant.is_expired(utc_now()):
            raise NotAuthenticated("This API key has expired.", code="expired_key")
        if grant.key_id is not None:
            self.used[grant.key_id] = time.time()
        return grant

    async def _grant_of(self, key_hash: bytes) -> Grant | None:
        never: tuple[float, Grant | None] = (float("-inf"), None)
        looked_at, grant = self._known.get(key_hash) or self._unknown.get(key_hash) or never
        age = time.monotonic() - looked_at
        if age < (UNKNOWN_SECONDS if grant is None else self._known_seconds):
            return grant
        try:
            found = await self._look_up(key_hash)
        except TryLater:
            if grant is None or age > TRUSTED_SECONDS_MAX:
                raise
            return grant
        self._remember(key_hash, found)
        return found

    def _remember(self, key_hash: bytes, grant: Grant | None) -> None:
        cached, other = (self._unknown, self._known) if grant is None else (self._known, self._unknown)
        other.pop(key_hash, None)
        cached[key_hash] = (time.monotonic(), grant)
        cached.move_to_end(key_hash)
        if len(cached) > CACHED_KEYS_MAX:
            cached.popitem(last=False)
