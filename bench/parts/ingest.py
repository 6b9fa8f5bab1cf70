"""Ingest alone: what it accepts per second, beside the same app without a queue (SPEC 13)."""

import itertools
from contextlib import ExitStack

from bench.figures import Figure, Goal, Limit
from bench.house import Service
from bench.load import closed_load
from bench.plan import Plan, in_turn

PART = "ingest"
BATCH_CONNECTIONS = 32  # enough that nobody waits for the sender: the figure is what ingest can do
FEW_CONNECTIONS = 8
SINGLE_CONNECTIONS = 64
SINGLES_MAX = 20_000


async def measure(plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        services = {
            "queued": stack.enter_context(plan.house.service("ingest")),
            "noop": stack.enter_context(plan.house.service("noop", "bench.serve", ("noop", "uvicorn"))),
        }
        hundreds = plan.full_batches_of(100)
        batches = await _rates(plan, services, hundreds, BATCH_CONNECTIONS)
        few = await _rates(plan, services, hundreds, FEW_CONNECTIONS)
        singles = await _rates(plan, services, plan.batches_of(1)[:SINGLES_MAX], SINGLE_CONNECTIONS)
    return [
        _figure(
            f"batches of 100, {BATCH_CONNECTIONS} connections", batches, Goal("share", 0.7), "ingest, batches of 100"
        ),
        _scores(batches),
        _figure(f"batches of 100, {FEW_CONNECTIONS} connections", few),
        _figure(
            f"single scores, {SINGLE_CONNECTIONS} connections", singles, Goal("share", 0.6), "ingest, single scores"
        ),
    ]


async def _rates(
    plan: Plan, services: dict[str, Service], requests: list[bytes], connections: int
) -> dict[str, list[float]]:
    """Requests per second of each service, run by run."""
    rates: dict[str, list[float]] = {name: [] for name in services}
    for service in services.values():  # warm-up: caches, allocator, key
        await closed_load(service.address, itertools.cycle(requests), connections=connections, seconds=0.5)
    for number in range(plan.rounds):
        for name in in_turn(list(services), number):
            await plan.house.empty_queue()
            load = closed_load(
                services[name].address, itertools.cycle(requests), connections=connections, seconds=plan.seconds
            )
            outcome = await load
            if not outcome.is_clean:
                raise RuntimeError(f"{name} answered {dict(outcome.statuses)}, {outcome.lost} lost")
            rates[name].append(outcome.accepted / outcome.seconds)
    await plan.house.empty_queue()
    return rates


def _figure(name: str, rates: dict[str, list[float]], goal: Goal | None = None, headline: str | None = None) -> Figure:
    limit = Limit("no-op", rates["noop"])
    runs = rates["queued"]
    return Figure(part=PART, name=name, unit="requests/s", runs=runs, limit=limit, goal=goal, headline=headline)


def _scores(rates: dict[str, list[float]]) -> Figure:
    return Figure(
        part=PART,
        name="the same, in scores",
        unit="scores/s",
        runs=[100 * rate for rate in rates["queued"]],
        limit=Limit("no-op", [100 * rate for rate in rates["noop"]]),
    )
