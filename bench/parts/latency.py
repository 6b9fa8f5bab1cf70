"""How long things take under an even load: from the 202 to readable, and the answer of ingest itself (SPEC 13).

Open loop: requests leave when they are due. Readable means that another connection to Postgres sees the receipt, which
is written in the transaction that writes the scores; looked up every few milliseconds, so a time is at most that too
long.
"""

import asyncio
import itertools
import statistics
import time

import asyncpg

from bench.chart import Line, Panel, draw
from bench.figures import Figure, Goal, percentile
from bench.load import open_load
from bench.parts.end_to_end import Whole, send_all, until_readable, whole
from bench.plan import Plan, in_turn

PART = "latency"
OFFERED_SCORES = 5_000
OFFERED_BATCH = 10
CURVE_SCORES = (1_000, 5_000, 20_000, 40_000, 60_000)
CURVE_BATCH = 50
CURVE_ROUNDS_MAX = 3
CONNECTIONS = 16
_POLL_SECONDS = 0.004
_PATIENCE_SECONDS = 30


class Visibility:
    """Notes when each accepted batch is accepted, and when it is first seen in the database."""

    def __init__(self, connection: asyncpg.Connection, project_id: str) -> None:
        self._connection = connection
        self._project_id = project_id
        self._waiting: dict[str, float] = {}
        self.seconds: list[float] = []

    def accepted(self, batch_id: str, at: float) -> None:
        self._waiting[batch_id] = at

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(_POLL_SECONDS)

    async def finish(self) -> None:
        """Wait for what is still on its way. Raises `RuntimeError` when it does not come."""
        until = time.perf_counter() + _PATIENCE_SECONDS
        while self._waiting:
            if time.perf_counter() > until:
                raise RuntimeError(f"{len(self._waiting)} accepted batches did not become readable")
            await asyncio.sleep(_POLL_SECONDS)

    async def _look(self) -> None:
        if not self._waiting:
            return
        oldest = min(self._waiting).partition("-")[0]  # ids begin with their millisecond: a range of the primary key
        rows = await self._connection.fetch(
            "SELECT batch_id FROM batches WHERE project_id = $1 AND batch_id >= $2", self._project_id, oldest
        )
        now = time.perf_counter()
        for row in rows:
            accepted_at = self._waiting.pop(row["batch_id"], None)
            if accepted_at is not None:
                self.seconds.append(now - accepted_at)


async def measure(plan: Plan) -> list[Figure]:
    tens, hundreds = plan.full_batches_of(OFFERED_BATCH), plan.full_batches_of(100)
    visible: list[list[float]] = []
    answered: list[list[float]] = []
    half: list[list[float]] = []
    offered: list[float] = []
    async with whole(plan) as assay:
        for _ in range(plan.rounds):
            await plan.house.empty(assay.connection)
            seen, answers = await visible_latencies(plan, assay, tens, OFFERED_SCORES / OFFERED_BATCH)
            visible.append(seen)
            answered.append(answers)
            # Full load is found out anew each time: on a shared machine it is not the same a minute later.
            full = (await send_all(plan, assay, plan.batches_of(100))).readable_per_second
            offered.append(full / 2)
            half.append(await _half_load(plan, assay, hundreds, full / 2))
        curve = [] if plan.is_short else await _curve(plan, assay)
    at_half = f"at half load ({statistics.median(offered):,.0f} scores/s, batches of 100)"
    at = f"at {OFFERED_SCORES:,} scores/s, batches of {OFFERED_BATCH}"
    return [
        _figure(f"visible after the 202 {at}: p50", visible, 0.5, Goal("below", 50), "visible after the 202: p50"),
        _figure(f"visible after the 202 {at}: p99", visible, 0.99, Goal("below", 300), "visible after the 202: p99"),
        _figure(f"ingest's answer {at}: p99", answered, 0.99),
        _figure(f"ingest's answer {at_half}: p50", half, 0.5),
        _figure(f"ingest's answer {at_half}: p99", half, 0.99, Goal("below", 25), "ingest at half load: p99"),
        *curve,
    ]


async def _curve(plan: Plan, assay: Whole) -> list[Figure]:
    """Both latencies at several offered loads, which take turns."""
    requests = plan.full_batches_of(CURVE_BATCH)
    runs_at: dict[int, list[tuple[list[float], list[float]]]] = {scores: [] for scores in CURVE_SCORES}
    for number in range(min(plan.rounds, CURVE_ROUNDS_MAX)):
        for scores in in_turn(CURVE_SCORES, number):
            await plan.house.empty(assay.connection)
            runs_at[scores].append(await visible_latencies(plan, assay, requests, scores / CURVE_BATCH))
    lines: dict[str, list[float]] = {}
    figures: list[Figure] = []
    for scores, runs in runs_at.items():
        for kind, of_kind in (("visible after the 202", 0), ("ingest's answer", 1)):
            for word, share in (("p50", 0.5), ("p99", 0.99)):
                name = f"{kind} at {scores:,} scores/s, batches of {CURVE_BATCH}: {word}"
                figure = _figure(name, [run[of_kind] for run in runs], share)
                figures.append(figure)
                lines.setdefault(f"{kind}, {word}", []).append(figure.median)
    title = f"Latency by offered load (open loop, batches of {CURVE_BATCH})"
    drawn = [Line(name, CURVE_SCORES, medians) for name, medians in lines.items()]
    draw("latency", "scores offered per second", [Panel(title=title, up="ms", lines=drawn)])
    return figures


async def visible_latencies(
    plan: Plan, assay: Whole, requests: list[bytes], requests_per_second: float
) -> tuple[list[float], list[float]]:
    """(seconds from 202 to readable, seconds from due to 202) of each request."""
    visibility = Visibility(assay.connection, plan.house.credentials.project_id)
    watching = asyncio.create_task(visibility.watch())
    try:
        outcome = await open_load(
            assay.ingest.address,
            itertools.cycle(requests),
            rate=requests_per_second,
            seconds=plan.seconds * 2,
            connections=CONNECTIONS,
            on_accepted=visibility.accepted,
        )
        await visibility.finish()
    finally:
        watching.cancel()
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    return visibility.seconds, outcome.latencies


async def _half_load(plan: Plan, assay: Whole, requests: list[bytes], scores_per_second: float) -> list[float]:
    await plan.house.empty(assay.connection)
    outcome = await open_load(
        assay.ingest.address,
        itertools.cycle(requests),
        rate=scores_per_second / 100,
        seconds=plan.seconds * 2,
        connections=CONNECTIONS,
    )
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    await until_readable(assay.connection, outcome.accepted * 100)
    return outcome.latencies


def _figure(
    name: str, runs: list[list[float]], share: float, goal: Goal | None = None, headline: str | None = None
) -> Figure:
    found = [percentile(run, share) * 1000 for run in runs]
    return Figure(part=PART, name=name, unit="ms", runs=found, goal=goal, headline=headline)
