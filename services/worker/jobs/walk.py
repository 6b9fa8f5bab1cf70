"""Walk along an index through what a job is about. Each chunk goes on where the one before stopped, and reads
`ROWS_MAX` rows at the most, however few of them are meant: so all chunks together read each row once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.postgres import Connection

ROWS_MAX = 10_000


def walk_statement(table: str, key: str, within: Sequence[str], meant: Sequence[str], limit: int) -> str:
    """The first `limit` rows that are meant, by `key`, of those that lie `within` (which is what the index knows).

    The `ROWS_MAX`th row that is read comes back in any case, also when it is not meant, as `is_far`: the next chunk
    goes on after it. Fewer than `limit` rows without such a one: there is nothing beyond.
    """
    return f"""
        SELECT {key}, is_meant, nth = {ROWS_MAX} AS is_far
        FROM (
            SELECT {key}, ({" AND ".join(meant)}) AS is_meant, row_number() OVER (ORDER BY {key}) AS nth
            FROM {table}
            WHERE {" AND ".join(within)}
            ORDER BY {key}
            LIMIT {ROWS_MAX}
        ) AS walked
        WHERE is_meant OR nth = {ROWS_MAX}
        ORDER BY {key}
        LIMIT {limit}
        """  # noqa: S608 - names and numbers of our own, and placeholders


@asynccontextmanager
async def along_the_index(connection: Connection) -> AsyncIterator[None]:
    """For a SELECT whose ORDER BY an index has. Of a table that is not large the planner would rather sort all that is
    left, which is right once, and not for each chunk again."""
    await connection.execute("SET LOCAL enable_sort = off")
    yield
    await connection.execute("SET LOCAL enable_sort = DEFAULT")
