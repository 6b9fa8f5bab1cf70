"""API keys between Postgres and Redis: the directory is made equal to the table, and their use is written down."""

from datetime import UTC, datetime
from uuid import UUID

from redis.asyncio import Redis

from shared.api_key_rows import GRANT_COLUMNS, grant_of
from shared.clock import utc_now
from shared.key_directory import directory, forget_used, reconcile, told_used
from shared.keys import Grant
from shared.postgres import Connection, Pool


async def reconcile_keys(pool: Pool, redis: Redis) -> int:
    """How many entries of the directory were wrong, after an outage or a loss of memory. Twice changes nothing."""
    present = await directory(redis)
    async with pool.acquire() as connection:
        grants = await _grants(connection)
    return await reconcile(redis, present, grants)


async def record_key_use(pool: Pool, redis: Redis) -> int:
    """Write down when keys were last used; how many. Twice changes nothing, and a later time is never undone."""
    used = await told_used(redis)
    if not used:
        return 0
    await _set_last_used(pool, {key_id: datetime.fromtimestamp(at, UTC) for key_id, at in used.items()})
    await forget_used(redis, list(used))
    return len(used)


async def _grants(connection: Connection) -> dict[bytes, Grant]:
    rows = await connection.fetch(
        f"""
        SELECT k.hash, {GRANT_COLUMNS}
        FROM api_keys AS k
        JOIN projects AS p ON p.id = k.project_id
        WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $1)
        """,  # noqa: S608 - a constant
        utc_now(),
    )
    return {row["hash"]: grant_of(row) for row in rows}


async def _set_last_used(pool: Pool, used: dict[UUID, datetime]) -> None:
    await pool.execute(
        """
        UPDATE api_keys AS k
        SET last_used_at = greatest(k.last_used_at, used.at)
        FROM unnest($1::uuid[], $2::timestamptz[]) AS used (id, at)
        WHERE k.id = used.id
        """,
        list(used),
        list(used.values()),
    )
