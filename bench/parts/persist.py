"""How fast workers alone bring in what is queued: one worker, then several (SPEC 13)."""

import time
from contextlib import ExitStack

import asyncpg

from bench.figures import Figure, Limit
from bench.load import closed_load
from bench.parts.end_to_end import CONNECTIONS, until_readable
from bench.plan import Plan

PART = "persist"
WORKERS = (1, 2, 4)
ROUNDS_MAX = 3


async def measure(plan: Plan) -> list[Figure]:
    """Scores a second from the start of the workers until the last receipt, by the number of worker processes."""
    rates: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    connection = await asyncpg.connect(plan.house.postgres.url)
    for _ in range(min(plan.rounds, ROUNDS_MAX)):
        for workers in WORKERS:
            rates[workers].append(await _drained_per_second(plan, connection, workers))
    await connection.close()
    return [
        Figure(
            part=PART,
            name=f"{workers} worker {'process' if workers == 1 else 'processes'}, from a full queue",
            unit="scores/s",
            runs=rates[workers],
            limit=None if workers == 1 else Limit("1 process", rates[1]),
        )
        for workers in WORKERS
    ]


async def _drained_per_second(plan: Plan, connection: asyncpg.Connection, workers: int) -> float:
    """All rows are queued while no worker runs. The workers start while the project is locked; the clock starts when
    they are all ready and the lock is given up."""
    await plan.house.empty(connection)
    with plan.house.service("ingest") as ingest:
        outcome = await closed_load(ingest.address, iter(plan.batches_of(100)), connections=CONNECTIONS)
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    with ExitStack() as stack:
        async with connection.transaction():
            await connection.execute("SELECT lock_scores_alone($1)", [plan.house.credentials.project_id])
            for number in range(workers):
                stack.enter_context(plan.house.service(f"worker-{number + 1}"))
        started = time.perf_counter()
        await until_readable(connection, len(plan.rows.scores))
        return len(plan.rows.scores) / (time.perf_counter() - started)
