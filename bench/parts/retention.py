"""Retention while scores come in: how fast it deletes, and what a new score notices of it."""

import asyncio
import itertools
import time

from bench.figures import Figure, Limit, percentile
from bench.filling import DAYS, fill
from bench.parts.end_to_end import whole
from bench.parts.latency import OFFERED_BATCH, visible_latencies
from bench.plan import Plan, in_turn
from services.worker.jobs.housekeeping import apply_retention
from shared.postgres import Pool, open_pool

PART = "retention"
ROWS = 1_000_000
OFFERED_SCORES = 2_000
STATEMENT_TIMEOUT_MS = 60_000
ROUNDS_MAX = 3
DAYS_APART = 15


async def measure(plan: Plan) -> list[Figure]:
    """Runs of the same load, with and without a job that deletes meanwhile, in turn."""
    runs: dict[str, list[list[float]]] = {"without": [], "with": []}
    deleted_per_second: list[float] = []
    async with whole(plan) as assay:
        await fill(plan.house, ROWS)
        pool = await open_pool(
            plan.house.database_url, size_max=2, statement_timeout_ms=STATEMENT_TIMEOUT_MS, name="bench"
        )
        requests = plan.full_batches_of(OFFERED_BATCH)
        for number in range(min(plan.rounds, ROUNDS_MAX)):
            for variant in in_turn(list(runs), number):
                deleting = _Deleting(pool, plan.house.credentials.project_id, DAYS - 1 - number * DAYS_APART)
                if variant == "with":
                    deleting.start()
                runs[variant].append(
                    (await visible_latencies(plan, assay, requests, OFFERED_SCORES / OFFERED_BATCH))[0]
                )
                if variant == "with":
                    deleted_per_second.append(await deleting.stop())
        await pool.close()
    return [
        Figure(part=PART, name="deleted by retention", unit="scores/s", runs=deleted_per_second),
        *(
            Figure(
                part=PART,
                name=f"visible after the 202 at {OFFERED_SCORES:,} scores/s while retention deletes: {word}",
                unit="ms",
                runs=[percentile(run, share) * 1000 for run in runs["with"]],
                limit=Limit("without", [percentile(run, share) * 1000 for run in runs["without"]]),
            )
            for word, share in (("p50", 0.5), ("p99", 0.99))
        ),
    ]


class _Deleting:
    """Applies a retention that gets shorter by a day each time, so that each finds the days that are oldest."""

    def __init__(self, pool: Pool, project_id: str, days_kept: int) -> None:
        self._pool = pool
        self._project_id = project_id
        self._days_kept = itertools.count(days_kept, -1)
        self._stopped = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> float:
        """Scores deleted a second."""
        self._stopped.set()
        return await self._task

    async def _run(self) -> float:
        deleted, started = 0, time.perf_counter()
        while not self._stopped.is_set():
            await self._pool.execute(
                "UPDATE projects SET retention_days = $2 WHERE id = $1", self._project_id, next(self._days_kept)
            )
            deleted += (await apply_retention(self._pool)).scores
        return deleted / (time.perf_counter() - started)
