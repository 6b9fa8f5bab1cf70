"""The limit of the whole way: one connection that copies the same rows into the same table and indexes, bare.

The table is made like `scores`, with its defaults, CHECKs and indexes, and without its triggers. The connection encodes
moments as the worker's does.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from services.worker.moments import pass_moments_as_microseconds

TABLE = "bench_bare_copy"
COLUMNS = (
    "project_id", "id", "version", "name", "data_type", "numeric_value", "categorical_value", "boolean_value",
    "trace_id", "span_id", "session_id", "user_id", "source", "author", "comment", "metadata", "environment",
    "config_id", "config_version", "violation", "scored_at", "received_at",
)  # fmt: skip

Record = tuple[Any, ...]


async def make_table(connection: asyncpg.Connection) -> None:
    await connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    await connection.execute(f"CREATE TABLE {TABLE} (LIKE scores INCLUDING ALL)")


_EVER = datetime(1970, 1, 1, tzinfo=UTC)


async def stored_records(connection: asyncpg.Connection, since: datetime = _EVER) -> list[Record]:
    """The rows of `scores` that were received since then, as the worker hands them to the driver, in the order in which
    they were stored. The connection encodes moments as the worker's does from now on."""
    await pass_moments_as_microseconds(connection)
    query = f"SELECT {', '.join(COLUMNS)} FROM scores WHERE received_at >= $1 ORDER BY ctid"
    rows = await connection.fetch(query, since)
    return [tuple(row) for row in rows]


async def ready_bytes(connection: asyncpg.Connection) -> bytes:
    """The rows of `scores` in COPY's own binary form: nothing is left for the client to do."""
    chunks: list[bytes] = []

    async def keep(chunk: bytes) -> None:
        chunks.append(chunk)

    query = f"SELECT {', '.join(COLUMNS)} FROM scores ORDER BY ctid"
    await connection.copy_from_query(query, output=keep, format="binary")
    return b"".join(chunks)


async def copy_seconds(connection: asyncpg.Connection, records: Sequence[Record], batch_size: int) -> float:
    """The time for all records, one transaction for every `batch_size` of them; the table is emptied before."""
    await connection.execute(f"TRUNCATE {TABLE}")
    return await copy_into(TABLE, connection, records, batch_size)


async def copy_into(table: str, connection: asyncpg.Connection, records: Sequence[Record], batch_size: int) -> float:
    """The same into a table that is left as it is."""
    await connection.execute("CHECKPOINT")
    started = time.perf_counter()
    for batch in _batches(records, batch_size):
        await connection.copy_records_to_table(table, records=batch, columns=COLUMNS)
    return time.perf_counter() - started


async def copy_bytes_seconds(connection: asyncpg.Connection, data: bytes) -> float:
    await connection.execute(f"TRUNCATE {TABLE}")
    await connection.execute("CHECKPOINT")

    async def source() -> Any:
        for start in range(0, len(data), 1 << 19):
            yield data[start : start + (1 << 19)]

    started = time.perf_counter()
    await connection.copy_to_table(TABLE, source=source(), columns=COLUMNS, format="binary")
    return time.perf_counter() - started


def _batches(records: Sequence[Record], size: int) -> Iterator[list[Record]]:
    iterator = iter(records)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
