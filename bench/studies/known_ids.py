"""What known ids cost: a transaction with a score that is sent again, or replaced, is done the careful way."""

import time
from collections.abc import Sequence

from bench.figures import Figure, Limit
from bench.load import closed_load
from bench.parts.end_to_end import CONNECTIONS, Whole, until_done, whole
from bench.plan import SCORES, Plan
from bench.rows import bodies, with_ids
from bench.wire import post_requests

PART = "known ids"
BATCH = 100
NEW, FEW, ALL = "with new ids", "of which one in a hundred has a known id", "that were all sent before"


async def measure(plan: Plan) -> list[Figure]:
    """Scores a second until the last receipt is there: all three kinds in every round, on tables that were emptied."""
    half = len(plan.rows.scores) // 2
    rates: dict[str, list[float]] = {NEW: [], FEW: [], ALL: []}
    async with whole(plan) as assay:
        for _ in range(plan.rounds):
            first, second = with_ids(plan.rows.scores[:half]), with_ids(plan.rows.scores[half : 2 * half])
            second[::100] = first[::100]
            await plan.house.empty(assay.connection)
            for kind, scores in ((NEW, first), (FEW, second), (ALL, first)):
                rates[kind].append(await _rate(plan, assay, scores))
    return [_figure(kind, rates) for kind in rates]


async def _rate(plan: Plan, assay: Whole, scores: Sequence[bytes]) -> float:
    requests = post_requests(SCORES, plan.house.credentials.api_key, bodies(scores, BATCH))
    batches = int(await assay.connection.fetchval("SELECT count(*) FROM batches"))
    started = time.perf_counter()
    outcome = await closed_load(assay.ingest.address, iter(requests), connections=CONNECTIONS)
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    await until_done(assay.connection, "SELECT count(*) FROM batches", batches + len(requests))
    return len(scores) / (time.perf_counter() - started)


def _figure(kind: str, rates: dict[str, list[float]]) -> Figure:
    limit = None if kind == NEW else Limit(NEW, rates[NEW])
    return Figure(part=PART, name=f"scores {kind}, taken in and done", unit="scores/s", runs=rates[kind], limit=limit)
