"""Resident memory of the services at rest: started, ready, asked for nothing (SPEC 13)."""

import asyncio

from bench.figures import Figure, Goal
from bench.parts.end_to_end import send_all, whole
from bench.plan import Plan
from bench.usage import resident_mib

PART = "memory"
REST_SECONDS = 3
SERVICES = ("ingest", "worker", "api")


async def measure(plan: Plan) -> list[Figure]:
    at_rest: dict[str, list[float]] = {name: [] for name in SERVICES}
    afterwards: dict[str, list[float]] = {name: [] for name in SERVICES}
    for _ in range(min(plan.rounds, 2)):  # it hardly varies
        async with whole(plan) as assay:
            await asyncio.sleep(REST_SECONDS)
            for name, pid in assay.pids.items():
                at_rest[name].append(resident_mib(pid))
            await send_all(plan, assay, plan.batches_of(100))
            for name, pid in assay.pids.items():
                afterwards[name].append(resident_mib(pid))
    return [
        *(_figure(f"{name} at rest", at_rest[name], Goal("below", 70)) for name in SERVICES),
        *(_figure(f"{name} after {len(plan.rows.scores):,} scores", afterwards[name]) for name in SERVICES),
    ]


def _figure(name: str, runs: list[float], goal: Goal | None = None) -> Figure:
    return Figure(part=PART, name=name, unit="MiB", runs=runs, goal=goal)
