"""Resident memory of the services: at rest, under load, and after an hour's worth of traffic (SPEC 13)."""

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
WARM_SHARE = 1 / 3  # by then every cache and pool is filled

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
        *(_growth(name, hour[name]) for name in SERVICES),
    ]


async def _hour(plan: Plan, assay: Whole) -> Mapping[str, list[float]]:
    """A sample after each time that all rows were sent."""
    samples: Samples = {name: [] for name in SERVICES}
    requests = plan.batches_of(100)
    for _ in range(max(3, round(HOUR_SCORES / len(plan.rows.scores)))):
        await send_all(plan, assay, requests)
        _sample(assay, samples)
    return samples


def _sample(assay: Whole, samples: Samples) -> None:
    for name, pid in assay.pids.items():
        samples[name].append(resident_mib(pid))


def _growth(name: str, samples: list[float]) -> Figure:
    warm = samples[int(len(samples) * WARM_SHARE)]
    return Figure(
        part=PART,
        name=f"{name} under load, after {HOUR_SCORES:,} scores",
        unit="MiB",
        runs=[samples[-1]],
        limit=Limit("after a third of them", [warm]),
    )


def _figure(name: str, runs: list[float], goal: Goal | None = None) -> Figure:
    return Figure(part=PART, name=name, unit="MiB", runs=runs, goal=goal)
