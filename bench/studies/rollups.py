"""What it costs to take scores away from rollups, where it costs most: extremes that must be looked for (ADR 4)."""

import time

import asyncpg

from bench.figures import Figure
from bench.plan import Plan

PART = "rollups"
PROJECT = "00000000-0000-0000-0000-00000000000b"

_SCORES = """
    INSERT INTO scores (project_id, id, version, name, data_type, numeric_value, trace_id, source, environment,
        scored_at, received_at)
    SELECT $1, n::text, n, 'busy', 'NUMERIC', n, 't', 'SDK', 'e' || n % $3, '2026-01-01 00:07Z', now()
    FROM generate_series(1, $2::bigint) AS n
    """


async def measure(plan: Plan) -> list[Figure]:
    connection = await asyncpg.connect(plan.house.database_url)
    environments: list[float] = []
    for _ in range(plan.rounds):
        await _fill(connection, scores=80_000, environments=40_000)
        environments.append(await _seconds(connection, "DELETE FROM scores WHERE version <= 4000"))
    await _fill(connection, scores=1_000_000, environments=1)
    greatest = [
        await _seconds(connection, f"DELETE FROM scores WHERE project_id = '{PROJECT}' AND id = '{1_000_000 - number}'")
        for number in range(plan.rounds)
    ]
    await connection.execute("TRUNCATE scores")
    await connection.close()
    return [
        _figure("4,000 scores of 4,000 environments out of a quarter with 80,000 of 40,000: deleted in", environments),
        _figure("the greatest of a million scores of one name in one quarter: deleted in", greatest),
    ]


async def _fill(connection: asyncpg.Connection, *, scores: int, environments: int) -> None:
    await connection.execute("TRUNCATE scores")
    await connection.execute(_SCORES, PROJECT, scores, environments)
    await connection.execute("VACUUM (ANALYZE) scores, score_rollups")


async def _seconds(connection: asyncpg.Connection, statement: str) -> float:
    started = time.perf_counter()
    await connection.execute(statement)
    return time.perf_counter() - started


def _figure(name: str, runs: list[float]) -> Figure:
    return Figure(part=PART, name=name, unit="s", runs=runs)
