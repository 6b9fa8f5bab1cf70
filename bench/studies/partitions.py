"""What partitions by time would change: the same rows in one table and in one of weekly partitions (ADR 14)."""

import time

import asyncpg

from bench.figures import Figure, Limit
from bench.filling import fill
from bench.plan import Plan, in_turn

PART = "partitions"
ROWS = 1_000_000
WEEKS = 14
TRANSACTION_ROWS = 3_000
INSERTED_ROWS = 300_000
LOOKED_UP = 1_000
WEEKS_DELETED = 3
TABLES = ["plain", "weekly"]

_MAKE = """
CREATE TABLE plain (LIKE scores INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (project_id, id));
CREATE TABLE weekly (LIKE scores INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (project_id, id, scored_at))
    PARTITION BY RANGE (scored_at);
"""
_COLUMNS_OF_INDEXES = ("scored_at, id", "name, scored_at, id", "trace_id, scored_at, id", "span_id, scored_at, id")


async def measure(plan: Plan) -> list[Figure]:
    """Inserting, looking ids up (as every replacement does), and deleting the oldest week."""
    connection = await asyncpg.connect(plan.house.database_url)
    project_id = plan.house.credentials.project_id
    await fill(plan.house, ROWS)
    await _make_tables(connection)
    inserted: dict[str, list[float]] = {table: [] for table in TABLES}
    looked_up: dict[str, list[float]] = {table: [] for table in TABLES}
    for number in range(plan.rounds):
        for table in in_turn(TABLES, number):
            await connection.execute(f"TRUNCATE {table}")
            inserted[table].append(await _insert_seconds(connection, table) / INSERTED_ROWS * 1e6)
    for table in TABLES:
        await connection.execute(f"TRUNCATE {table}")
        await connection.execute(f"INSERT INTO {table} SELECT * FROM scores")
        await connection.execute(f"VACUUM (ANALYZE) {table}")
    for number in range(plan.rounds):
        for table in in_turn(TABLES, number):
            looked_up[table].append(await _lookup_seconds(connection, table, project_id, number) * 1000)
    deleted: dict[str, list[float]] = {table: [] for table in TABLES}
    for week in range(WEEKS_DELETED):
        bound = await _start_of_week(connection, week + 1)
        deleted["plain"].append(await _ms_of(connection, f"DELETE FROM plain WHERE scored_at < '{bound}'"))
        deleted["weekly"].append(await _ms_of(connection, f"DROP TABLE weekly_{week}"))
    await connection.execute("DROP TABLE plain, weekly")
    await connection.close()
    return [
        _figure("a row inserted into weekly partitions", "µs", inserted),
        _figure(f"{LOOKED_UP:,} ids looked up in weekly partitions", "ms", looked_up),
        _figure("the oldest week deleted from weekly partitions", "ms", deleted),
    ]


async def _make_tables(connection: asyncpg.Connection) -> None:
    await connection.execute(_MAKE)
    for week in range(WEEKS):
        bounds = [await _start_of_week(connection, number) for number in (week, week + 1)]
        await connection.execute(
            f"CREATE TABLE weekly_{week} PARTITION OF weekly FOR VALUES FROM ('{bounds[0]}') TO ('{bounds[1]}')"
        )
    await connection.execute("CREATE TABLE weekly_rest PARTITION OF weekly DEFAULT")
    for table in TABLES:
        for columns in _COLUMNS_OF_INDEXES:
            await connection.execute(f"CREATE INDEX ON {table} (project_id, {columns})")


async def _start_of_week(connection: asyncpg.Connection, number: int) -> str:
    days_ago = 7 * (WEEKS - 1 - number)
    found: str = await connection.fetchval("SELECT (date_trunc('day', now()) - $1 * interval '1 day')::text", days_ago)
    return found


async def _insert_seconds(connection: asyncpg.Connection, table: str) -> float:
    started = time.perf_counter()
    for first in range(0, INSERTED_ROWS, TRANSACTION_ROWS):
        await connection.execute(
            f"INSERT INTO {table} SELECT * FROM scores WHERE id >= $1 AND id < $2",
            f"s{first:09}",
            f"s{first + TRANSACTION_ROWS:09}",
        )
    return time.perf_counter() - started


async def _lookup_seconds(connection: asyncpg.Connection, table: str, project_id: str, number: int) -> float:
    """The worker's look at what exists under the ids of a batch."""
    ids = [f"s{(place * 997 + number) % ROWS:09}" for place in range(LOOKED_UP)]
    started = time.perf_counter()
    await connection.fetch(
        f"""
        SELECT project_id, id, version
        FROM {table} JOIN unnest($1::uuid[], $2::text[]) AS asked (project_id, id) USING (project_id, id)
        """,
        [project_id] * LOOKED_UP,
        ids,
    )
    return time.perf_counter() - started


async def _ms_of(connection: asyncpg.Connection, statement: str) -> float:
    started = time.perf_counter()
    await connection.execute(statement)
    return (time.perf_counter() - started) * 1000


def _figure(name: str, unit: str, runs: dict[str, list[float]]) -> Figure:
    return Figure(part=PART, name=name, unit=unit, runs=runs["weekly"], limit=Limit("in one table", runs["plain"]))
