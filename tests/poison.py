"""A score that Postgres itself refuses, though it is well formed and obeys every rule.

Ingest lets nothing through that the real table can't hold, as far as we know: so the test's own table refuses more.
"""

import asyncpg

POISON_JSON = '{"poison":true}'
"""The metadata of such a score."""


async def refuse_poison(database_url: str) -> None:
    """From now on the table of scores refuses scores with this metadata. Twice is harmless."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """
        ALTER TABLE scores DROP CONSTRAINT IF EXISTS no_poison;
        ALTER TABLE scores ADD CONSTRAINT no_poison CHECK (NOT coalesce(metadata ? 'poison', false));
        """
    )
    await connection.close()
