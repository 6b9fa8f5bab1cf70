"""What each index of `scores`, the CHECKs and the rollups cost PostgreSQL for a row: COPY of the same rows without."""

import asyncpg

from bench.bare_copy import COLUMNS, stored_records
from bench.figures import Figure, Limit
from bench.parts.end_to_end import send_all, whole
from bench.plan import Plan, in_turn
from bench.usage import cpu_seconds

PART = "indexes"
TABLE = "bench_indexes"
TRANSACTION_ROWS = 3_000
ALL, ROLLUPS, NOTHING = "all indexes and CHECKs", "all indexes and CHECKs, and the rollups", "no index and no CHECK"

_INDEXES = """
    SELECT indexname, replace(replace(indexdef, indexname, 'bench_' || indexname), ' public.scores ', ' bench_indexes ')
        AS definition
    FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'scores' ORDER BY indexname
    """


async def measure(plan: Plan) -> list[Figure]:
    """CPU time of the one backend that copies, in transactions of the size that the worker makes."""
    async with whole(plan) as assay:
        await send_all(plan, assay, plan.batches_of(100))
        records = await stored_records(assay.connection)
        indexes = {row["indexname"]: row["definition"] for row in await assay.connection.fetch(_INDEXES)}
    connection = await asyncpg.connect(plan.house.database_url)
    portions = [records[start : start + TRANSACTION_ROWS] for start in range(0, len(records), TRANSACTION_ROWS)]
    variants = [ALL, NOTHING, ROLLUPS, *(f"without {name}" for name in indexes)]
    runs: dict[str, list[float]] = {variant: [] for variant in variants}
    for number in range(plan.rounds):
        for variant in in_turn(variants, number):
            table = await _make(connection, variant, indexes)
            runs[variant].append(await _cpu_us_per_row(connection, table, portions))
    await connection.close()
    return [_figure(variant, runs) for variant in variants]


async def _make(connection: asyncpg.Connection, variant: str, indexes: dict[str, str]) -> str:
    """The name of an empty table that has what the variant says."""
    await connection.execute("TRUNCATE scores, batches, rejected_scores")
    if variant == ROLLUPS:
        return "scores"
    await connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    constraints = "" if variant == NOTHING else "INCLUDING CONSTRAINTS"
    await connection.execute(f"CREATE TABLE {TABLE} (LIKE scores INCLUDING DEFAULTS {constraints})")
    for name, definition in indexes.items():
        if variant not in (NOTHING, f"without {name}"):
            await connection.execute(definition)
    await connection.execute("CHECKPOINT")
    return TABLE


async def _cpu_us_per_row(
    connection: asyncpg.Connection, table: str, portions: list[list[tuple[object, ...]]]
) -> float:
    pid = connection.get_server_pid()
    before = cpu_seconds(pid)
    for portion in portions:
        await connection.copy_records_to_table(table, records=portion, columns=COLUMNS)
    return (cpu_seconds(pid) - before) / sum(map(len, portions)) * 1e6


def _figure(variant: str, runs: dict[str, list[float]]) -> Figure:
    limit = None if variant == ALL else Limit(ALL, runs[ALL])
    return Figure(part=PART, name=f"COPY, {variant}", unit="µs/row", runs=runs[variant], limit=limit)
