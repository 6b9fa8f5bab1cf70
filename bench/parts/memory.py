"""Resident memory of the services: at rest, and what they keep after an hour's worth of traffic (SPEC 13)."""

import asyncio
from collections.abc import Mapping

from bench.figures import Figure, Goal, Limit
from bench.parts.end_to_end import Whole, send_all, whole
from bench.plan import Plan
from bench.usage import resident_mib

PART = "memory"
REST_SECONDS = 3
SERVICES = ("ingest", "worker", "api")
HOUR_SCORES = 1_800_000  # 500 a second for an hour, sent as quickly as they are taken

Samples = dict[str, list[float]]
"""MiB by service, in the order taken."""


async def measure(plan: Plan) -> list[Figure]:
    at_rest: Samples = {name: [] for name in SERVICES}
    for _ in range(min(plan.rounds, 2)):  # it hardly varies
        async with whole(plan) as assay:
            await asyncio.sleep(REST_SECONDS)
            _sample(assay, at_rest)
    async with whole(plan) as assay:
        hour = await _hour(plan, assay)
    return [
        *(_figure(f"{name} at rest", at_rest[name], Goal("below", 70)) for name in SERVICES),
        *(_growth(name, hour[name], len(plan.rows.scores)) for name in SERVICES),
    ]


async def _hour(plan: Plan, assay: Whole) -> Mapping[str, list[float]]:
    """A sample after each time that all rows were sent."""
    samples: Samples = {name: [] for name in SERVICES}
    requests = plan.batches_of(100)
    for _ in range(3 if plan.is_short else max(3, round(HOUR_SCORES / len(plan.rows.scores)))):
        await send_all(plan, assay, requests)
        _sample(assay, samples)
    return samples


def _sample(assay: Whole, samples: Samples) -> None:
    for name, pid in assay.pids.items():
        samples[name].append(resident_mib(pid))


def _growth(name: str, samples: list[float], scores_each: int) -> Figure:
    """Sampled when all is stored: what a service keeps, not the peak on the way."""
    warm = samples[len(samples) // 3 - 1]
    return Figure(
        part=PART,
        name=f"{name} after {len(samples) * scores_each:,} scores",
        unit="MiB",
        runs=[samples[-1]],
        limit=Limit("after a third of them", [warm]),
        goal=Goal("at_most", 1.1),
    )


def _figure(name: str, runs: list[float], goal: Goal | None = None) -> Figure:
    return Figure(part=PART, name=name, unit="MiB", runs=runs, goal=goal)
