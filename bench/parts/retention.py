"""Retention while scores come in: how fast it deletes, and what a new score notices of it."""

import asyncio
import itertools
import time

from bench.figures import Figure, Limit, percentile
from bench.filling import DAYS, fill
from bench.parts.end_to_end import whole
from bench.parts.latency import OFFERED_BATCH, visible_latencies
from bench.plan import Plan
from services.worker.jobs.housekeeping import apply_retention
from shared.postgres import Pool, open_pool

PART = "retention"
ROWS = 1_000_000
OFFERED_SCORES = 2_000
STATEMENT_TIMEOUT_MS = 60_000


async def measure(plan: Plan) -> list[Figure]:
    """Runs of the same load, with and without a job that deletes meanwhile; each deletes the days that are oldest."""
    requests = plan.full_batches_of(OFFERED_BATCH)
    calm: list[list[float]] = []
    busy: list[list[float]] = []
    deleted_per_second: list[float] = []
    async with whole(plan) as assay:
        await fill(assay.connection, plan.house.credentials.project_id, ROWS)
        pool = await open_pool(
            plan.house.postgres.url, size_max=2, statement_timeout_ms=STATEMENT_TIMEOUT_MS, name="bench"
        )
        for number in range(plan.rounds):
            rate = OFFERED_SCORES / OFFERED_BATCH
            calm.append((await visible_latencies(plan, assay, requests, rate))[0])
            stop = asyncio.Event()
            deleting = asyncio.create_task(_delete(pool, plan, itertools.count(DAYS - 1 - number * 15, -1), stop))
            busy.append((await visible_latencies(plan, assay, requests, rate))[0])
            stop.set()
            deleted_per_second.append(await deleting)
        await pool.close()
    return [
        Figure(part=PART, name="deleted by retention", unit="scores/s", runs=deleted_per_second),
        *(
            Figure(
                part=PART,
                name=f"visible after the 202 at {OFFERED_SCORES:,} scores/s while retention deletes: {word}",
                unit="ms",
                runs=[percentile(run, share) * 1000 for run in busy],
                limit=Limit("without", [percentile(run, share) * 1000 for run in calm]),
            )
            for word, share in (("p50", 0.5), ("p99", 0.99))
        ),
    ]


async def _delete(pool: Pool, plan: Plan, days_kept: "itertools.count[int]", stop: asyncio.Event) -> float:
    """Apply a retention that gets shorter by a day each time, until `stop`; scores deleted a second."""
    deleted, started = 0, time.perf_counter()
    while not stop.is_set():
        await pool.execute(
            "UPDATE projects SET retention_days = $2 WHERE id = $1",
            plan.house.credentials.project_id,
            next(days_kept),
        )
        deleted += (await apply_retention(pool)).scores
    return deleted / (time.perf_counter() - started)
