"""API keys of a project: only their hash is stored, and a revoked one stays in the list."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from shared.keys import Quota, Scope, hash_of, new_key, shown_prefix
from shared.postgres import Connection

_COLUMNS = """id, name, prefix, scopes, requests_per_minute, scores_per_minute, created_at, expires_at, revoked_at,
    last_used_at"""


class ApiKey(Struct, frozen=True):
    """A key as it is listed: its first characters, never the key. `last_used_at` is right to half a minute."""

    id: UUID
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    requests_per_minute: int | None
    scores_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewKey(Struct, frozen=True):
    """A key just made. `secret` is known now and never again."""

    id: UUID
    secret: str


async def make_key(
    connection: Connection,
    project_id: UUID,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None = None,
    quota: Quota = Quota(),  # noqa: B008 - it is frozen
) -> NewKey:
    """A new key each time."""
    secret = new_key()
    key_id: UUID = await connection.fetchval(
        """
        INSERT INTO api_keys
            (project_id, name, prefix, hash, scopes, expires_at, requests_per_minute, scores_per_minute)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        RETURNING id
        """,
        project_id, name, shown_prefix(secret), hash_of(secret), sorted(set(scopes)), expires_at,
        quota.requests_per_minute, quota.scores_per_minute,
    )  # fmt: skip
    return NewKey(key_id, secret)


async def list_keys(connection: Connection, project_id: UUID) -> Sequence[ApiKey]:
    """Newest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM api_keys WHERE project_id = $1 ORDER BY created_at DESC, id",  # noqa: S608 - a constant
        project_id,
    )
    return [_key(row) for row in rows]


async def get_key(connection: Connection, project_id: UUID, key_id: UUID) -> ApiKey | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM api_keys WHERE project_id = $1 AND id = $2 FOR UPDATE",  # noqa: S608 - a constant
        project_id,
        key_id,
    )
    return None if row is None else _key(row)


async def revoke_key(connection: Connection, project_id: UUID, key_id: UUID) -> bytes | None:
    """The hash of the key, which is now revoked if it was not; None when there is no such key. Twice is harmless."""
    revoked: bytes | None = await connection.fetchval(
        """
        UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
        WHERE project_id = $1 AND id = $2
        RETURNING hash
        """,
        project_id,
        key_id,
    )
    return revoked


async def limit_key(connection: Connection, project_id: UUID, key_id: UUID, overlap_seconds: int) -> bytes:
    """Let a key expire so many seconds from now, unless it does so before; its hash."""
    limited: bytes = await connection.fetchval(
        """
        UPDATE api_keys SET expires_at = least(expires_at, now() + $3 * interval '1 second')
        WHERE project_id = $1 AND id = $2
        RETURNING hash
        """,
        project_id,
        key_id,
        overlap_seconds,
    )
    return limited


def _key(row: object) -> ApiKey:
    fields = dict(row)  # type: ignore[call-overload]
    return ApiKey(**(fields | {"scopes": tuple(map(Scope, fields["scopes"]))}))
