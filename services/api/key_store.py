"""Know API keys from Postgres, remembered for a few seconds."""

import time
from collections import OrderedDict

from starlette.requests import Request

from services.api.context import context_of
from shared.clock import utc_now
from shared.errors import NotAuthenticated
from shared.http.credentials import key_of
from shared.keys import Grant, Scope, hash_of
from shared.postgres import Connection

CACHED_KEYS_MAX = 10_000
UNKNOWN_SECONDS = 1.0


class KeyStore:
    """At most `CACHED_KEYS_MAX` keys; an unknown key is remembered for a shorter time than a known one."""

    def __init__(self, known_seconds: float) -> None:
        self._known_seconds = known_seconds
        self._cached: OrderedDict[bytes, tuple[float, Grant | None]] = OrderedDict()

    async def authenticate(self, request: Request) -> Grant:
        """The grant of the request's key. Raises `NotAuthenticated`, or `StoreUnavailable` when that can't be told."""
        grant = await self._grant_of(request, hash_of(key_of(request)))
        if grant is None:
            raise NotAuthenticated("This API key is not known, or was revoked.", code="unknown_key")
        if grant.is_expired(utc_now()):
            raise NotAuthenticated("This API key has expired.", code="expired_key")
        return grant

    async def _grant_of(self, request: Request, key_hash: bytes) -> Grant | None:
        cached = self._cached.get(key_hash)
        if cached is not None and cached[0] > time.monotonic():
            return cached[1]
        async with context_of(request).accounts() as connection:
            grant = await find_grant(connection, key_hash)
        seconds = UNKNOWN_SECONDS if grant is None else self._known_seconds
        self._cached[key_hash] = (time.monotonic() + seconds, grant)
        self._cached.move_to_end(key_hash)
        if len(self._cached) > CACHED_KEYS_MAX:
            self._cached.popitem(last=False)
        return grant


async def find_grant(connection: Connection, key_hash: bytes) -> Grant | None:
    row = await connection.fetchrow(
        "SELECT id, project_id, scopes, expires_at FROM api_keys WHERE hash = $1 AND revoked_at IS NULL", key_hash
    )
    if row is None:
        return None
    return Grant(
        key_id=row["id"],
        project_id=row["project_id"],
        scopes=tuple(sorted(map(Scope, row["scopes"]))),
        expires_at=row["expires_at"],
    )
