"""API keys as Postgres knows them."""

from services.api.context import Context
from shared.api_key_rows import GRANT_COLUMNS, grant_of
from shared.keys import Grant
from shared.known_keys import LookUp
from shared.postgres import Connection


def look_up_in(context: Context) -> LookUp:
    async def look_up(key_hash: bytes) -> Grant | None:
        async with context.accounts() as connection:
            return await find_grant(connection, key_hash)

    return look_up


async def find_grant(connection: Connection, key_hash: bytes) -> Grant | None:
    row = await connection.fetchrow(
        f"""
        SELECT {GRANT_COLUMNS}
        FROM api_keys AS k
        JOIN projects AS p ON p.id = k.project_id
        WHERE k.hash = $1 AND k.revoked_at IS NULL
        """,  # noqa: S608 - a constant
        key_hash,
    )
    return None if row is None else grant_of(row)
