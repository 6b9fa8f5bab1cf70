"""Make the key directory in Redis equal to the API keys in Postgres, after an outage or a loss of memory."""

from redis.asyncio import Redis

from shared.clock import utc_now
from shared.key_directory import reconcile
from shared.keys import Grant, Scope
from shared.postgres import Connection, Pool


async def reconcile_keys(pool: Pool, redis: Redis) -> int:
    """How many entries of the directory were wrong. Running it twice changes nothing."""
    async with pool.acquire() as connection:
        grants = await _grants(connection)
    return await reconcile(redis, grants)


async def _grants(connection: Connection) -> dict[bytes, Grant]:
    rows = await connection.fetch(
        """
        SELECT id, project_id, hash, scopes, expires_at
        FROM api_keys
        WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
        """,
        utc_now(),
    )
    return {
        row["hash"]: Grant(
            key_id=row["id"],
            project_id=row["project_id"],
            scopes=tuple(sorted(map(Scope, row["scopes"]))),
            expires_at=row["expires_at"],
        )
        for row in rows
    }
