"""The same figures on 0.1, 1 and 10 million rows: reads by the api, and how fast the whole way takes in more (SPEC 13).

Raw GROUP BY over the same rows is the limit of what the rollups answer.
"""

import itertools
import time
from collections.abc import Sequence

import asyncpg
import httpx

from bench.chart import Line, draw
from bench.figures import Figure, Goal, Limit, percentile
from bench.filling import fill
from bench.load import closed_load
from bench.parts.end_to_end import CONNECTIONS, Whole, until_readable, whole
from bench.plan import Plan
from bench.reading import Read, reads, seconds_of

PART = "growth"
SIZES = (100_000, 1_000_000, 10_000_000)
ROUNDS_MAX = 3
INTAKE_ROWS = 60_000
RAW_RUNS = 3
FLAT = 1.5  # a tenfold table may cost half as much again, and is called flat


async def measure(plan: Plan) -> list[Figure]:
    """Figures of the largest table, and how they compare with those of the table before it."""
    sizes = [size for size in SIZES if size <= plan.growth_rows] or [SIZES[0]]
    by_size: dict[int, dict[str, Figure]] = {}
    async with whole(plan) as assay:
        for size in sizes:
            await fill(assay.connection, plan.house.credentials.project_id, size)
            by_size[size] = await _of_size(plan, assay, size)
    _draw(by_size)
    return [figure for size in sizes for figure in by_size[size].values()] + _flatness(by_size)


async def _of_size(plan: Plan, assay: Whole, size: int) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    headers = {"Authorization": f"Bearer {plan.house.credentials.api_key}"}
    with httpx.Client(base_url=assay.api.url, headers=headers, trust_env=False, timeout=60) as client:
        for read in reads(size):
            seconds_of(client, read, seed=0)  # warm-up
            runs = [seconds_of(client, read, seed) for seed in range(1, min(plan.rounds, ROUNDS_MAX) + 1)]
            medians = [percentile(run, 0.5) * 1000 for run in runs]
            figures[read.name] = Figure(
                part=_part(size), name=f"{read.name}: p50", unit="ms", runs=medians, goal=read.goal
            )
            if read.rollup_beside is not None:
                figures[f"{read.name}, gain"] = await _gain(plan, assay.connection, read, size, medians)
    intake = [await _intake(plan, assay, number) for number in range(min(plan.rounds, ROUNDS_MAX))]
    figures["intake"] = Figure(part=_part(size), name="taken in and readable", unit="scores/s", runs=intake)
    return figures


async def _gain(plan: Plan, connection: asyncpg.Connection, read: Read, size: int, medians: list[float]) -> Figure:
    assert read.rollup_beside is not None
    raw = [await _raw_ms(connection, read.rollup_beside, plan.house.credentials.project_id) for _ in range(RAW_RUNS)]
    raw_ms = percentile(raw, 0.5)
    return Figure(
        part=_part(size),
        name=f"{read.name}: how often it fits into a raw GROUP BY of {raw_ms:,.0f} ms",
        unit="×",
        runs=[raw_ms / median for median in medians],
        goal=Goal("above", 100) if size == SIZES[-1] else None,
    )


async def _raw_ms(connection: asyncpg.Connection, statement: str, project_id: str) -> float:
    started = time.perf_counter()
    await connection.fetch(statement, project_id)
    return (time.perf_counter() - started) * 1000


async def _intake(plan: Plan, assay: Whole, number: int) -> float:
    """Scores a second, the whole way, on top of what is there."""
    requests = list(itertools.islice(itertools.cycle(plan.full_batches_of(100)), INTAKE_ROWS // 100 * (number + 1)))
    requests = requests[INTAKE_ROWS // 100 * number :]
    already = await assay.connection.fetchval("SELECT coalesce(sum(stored), 0) FROM batches")
    started = time.perf_counter()
    outcome = await closed_load(assay.ingest.address, iter(requests), connections=CONNECTIONS)
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    sent = len(requests) * 100
    await until_readable(assay.connection, already + sent)
    return sent / (time.perf_counter() - started)


def _flatness(by_size: dict[int, dict[str, Figure]]) -> list[Figure]:
    """What rollups answer must take about as long on the largest table as on the one before."""
    if len(by_size) < 2:
        return []
    before, largest = sorted(by_size)[-2:]
    return [
        Figure(
            part=PART,
            name=f"{name}: the same on {_rows(largest)} rows",
            unit="ms",
            runs=by_size[largest][name].runs,
            limit=Limit(f"on {_rows(before)} rows", by_size[before][name].runs),
            goal=Goal("at_most", FLAT),
        )
        for name in by_size[largest]
        if name.startswith(("aggregate of", "trend of", "list", "by trace")) and not name.endswith("gain")
    ]


def _draw(by_size: dict[int, dict[str, Figure]]) -> None:
    names = [name for name in by_size[max(by_size)] if not name.endswith("gain") and name != "intake"]
    if len(by_size) < len(SIZES):
        return
    draw(
        "growth",
        title="Reads, p50, by the number of stored scores",
        across="stored scores",
        up="ms",
        lines=[Line(name, sorted(by_size), [by_size[size][name].median for size in sorted(by_size)]) for name in names],
        limits=_limits(),
    )


def _limits() -> Sequence[tuple[str, float]]:
    return [("statistics: 15 ms", 15.0), ("pages: 5 ms", 5.0)]


def _part(size: int) -> str:
    return f"{_rows(size)} rows"


def _rows(size: int) -> str:
    return f"{size / 1_000_000:g} million"
