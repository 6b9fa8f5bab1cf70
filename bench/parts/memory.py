"""Resident memory of the services: at rest, under load, and after an hour's worth of traffic (SPEC 13)."""

import asyncio
import itertools
import statistics
from collections.abc import Sequence

import httpx

from bench.figures import Figure, Goal, Limit
from bench.load import closed_load
from bench.parts.end_to_end import CONNECTIONS, Whole, until_readable, whole
from bench.plan import Plan
from bench.usage import peak_mb, resident_mb

PART = "memory"
REST_SECONDS = 3
SAMPLE_SECONDS = 0.1
SERVICES = ("ingest", "worker", "api")
HOUR_SCORES = 3600 * 300  # 300 a second for an hour, sent as quickly as they are taken
SHORT_SCORES = 100_000
WARM_SHARE = 0.1  # of the load: what a service needs once is no growth
AT_REST_MB = 70

READS = (
    "/v1/scores?limit=1000",
    "/v1/scores/aggregate?percentiles=false",
    "/v1/scores/aggregate?percentiles=false&group_by=source,environment",
)

Samples = dict[str, list[float]]
"""MB by service, in the order taken."""


async def measure(plan: Plan) -> list[Figure]:
    at_rest = _no_samples()
    for _ in range(min(plan.rounds, 3)):
        async with whole(plan) as assay:
            await asyncio.sleep(REST_SECONDS)
            _sample(assay, at_rest)
    async with whole(plan) as assay:
        loaded = await _under_load(plan, assay)
        # The kernel counts in steps: a sample can be a little above its peak.
        peaks = {name: [max(peak_mb(pid), *loaded[name])] for name, pid in assay.pids.items()}
        await asyncio.sleep(REST_SECONDS)
        afterwards = _no_samples()
        _sample(assay, afterwards)
    sent = f"{_scores(plan):,} scores"
    return [
        *(_at_rest(name, at_rest[name]) for name in SERVICES),
        *(_figure(f"{name} under load", loaded[name]) for name in SERVICES),
        *(_figure(f"{name}, the most at any moment", peaks[name]) for name in SERVICES),
        *(_figure(f"{name} at rest again, after {sent}", afterwards[name]) for name in SERVICES),
        *(_growth(name, loaded[name]) for name in SERVICES),
    ]


def _scores(plan: Plan) -> int:
    return SHORT_SCORES if plan.is_short else HOUR_SCORES


async def _under_load(plan: Plan, assay: Whole) -> Samples:
    """Samples while all scores are sent, and read at the same time, until all can be read."""
    await plan.house.empty(assay.connection)
    requests = itertools.islice(itertools.cycle(plan.full_batches_of(100)), _scores(plan) // 100)
    samples = _no_samples()
    beside = [asyncio.create_task(_keep_sampling(assay, samples)), asyncio.create_task(_keep_reading(assay))]
    outcome = await closed_load(assay.ingest.address, requests, connections=CONNECTIONS)
    await until_readable(assay.connection, _scores(plan))
    for task in beside:
        task.cancel()
    for ended in await asyncio.gather(*beside, return_exceptions=True):
        if isinstance(ended, Exception):  # a cancellation is none
            raise ended
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    return samples


async def _keep_sampling(assay: Whole, samples: Samples) -> None:
    while True:
        _sample(assay, samples)
        await asyncio.sleep(SAMPLE_SECONDS)


async def _keep_reading(assay: Whole) -> None:
    """Twenty times a second, so that the api is under load too."""
    headers = {"Authorization": f"Bearer {assay.house.credentials.api_key}"}
    async with httpx.AsyncClient(base_url=assay.api.url, headers=headers, trust_env=False, timeout=30) as client:
        for path in itertools.cycle(READS):
            (await client.get(path)).raise_for_status()
            await asyncio.sleep(0.05)


def _no_samples() -> Samples:
    return {name: [] for name in SERVICES}


def _sample(assay: Whole, samples: Samples) -> None:
    for name, pid in assay.pids.items():
        samples[name].append(resident_mb(pid))


def _at_rest(name: str, runs: list[float]) -> Figure:
    goal = Goal("below", AT_REST_MB)
    return Figure(
        part=PART, name=f"{name} at rest", unit="MB", runs=runs, goal=goal, headline=f"memory at rest: {name}"
    )


def _figure(name: str, runs: list[float]) -> Figure:
    limit = Limit("the goal at rest", [AT_REST_MB] * len(runs))
    return Figure(part=PART, name=name, unit="MB", runs=runs, limit=limit)


def _growth(name: str, samples: Sequence[float]) -> Figure:
    warm = samples[int(len(samples) * WARM_SHARE) :]
    middle = len(warm) // 2
    return Figure(
        part=PART,
        name=f"{name} in the second half of the load",
        unit="MB",
        runs=[statistics.median(warm[middle:])],
        limit=Limit("in the first half", [statistics.median(warm[:middle])]),
        goal=Goal("at_most", 1.1),
    )
