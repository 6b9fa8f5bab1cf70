"""uvicorn against granian under the same ingest app: the figures behind docs/adr/0005."""

import asyncio
import itertools
import time
from contextlib import AbstractContextManager, ExitStack

from msgspec import Struct

from bench.figures import Figure, Limit, percentile
from bench.house import Service
from bench.load import Outcome, closed_load
from bench.parts.ingest import BATCH_CONNECTIONS, SINGLE_CONNECTIONS, SINGLES_MAX
from bench.plan import Plan, in_turn
from bench.usage import resident_mb

PART = "servers"
SERVERS = ["uvicorn", "granian"]


class Stop(Struct, frozen=True):
    """A SIGTERM under load: requests that were sent and never answered, how long it took, how the process ended."""

    lost: int
    seconds: float
    exit_code: int | None


async def measure(plan: Plan) -> list[Figure]:
    loads = {
        "batches of 100": (plan.full_batches_of(100), BATCH_CONNECTIONS),
        "single scores": (plan.batches_of(1)[:SINGLES_MAX], SINGLE_CONNECTIONS),
    }
    figures: list[Figure] = []
    with ExitStack() as stack:
        services = {name: stack.enter_context(_service(plan, name)) for name in SERVERS}
        at_rest = {name: [resident_mb(service.pid)] for name, service in services.items()}
        for name, (requests, connections) in loads.items():
            figures += await _compared(plan, services, name, requests, connections)
        afterwards = {name: [resident_mb(service.pid)] for name, service in services.items()}
    stops = {name: [await _stopped(plan, name, *loads["single scores"]) for _ in range(3)] for name in SERVERS}
    return [
        *figures,
        *_pair("memory at rest", "MB", at_rest),
        *_pair("memory after the loads", "MB", afterwards),
        *_pair("SIGTERM under load: unanswered", "requests", _of(stops, "lost")),
        *_pair("SIGTERM under load: until ended", "s", _of(stops, "seconds")),
        *_pair("SIGTERM under load: exit code", "", _of(stops, "exit_code")),
    ]


def _service(plan: Plan, server: str) -> AbstractContextManager[Service]:
    return plan.house.service(server, "bench.serve", ("queued", server))


async def _compared(
    plan: Plan, services: dict[str, Service], name: str, requests: list[bytes], connections: int
) -> list[Figure]:
    outcomes: dict[str, list[Outcome]] = {server: [] for server in services}
    for number in range(plan.rounds):
        for server in in_turn(SERVERS, number):
            await plan.house.empty_queue()
            address = services[server].address
            load = closed_load(address, itertools.cycle(requests), connections=connections, seconds=plan.seconds)
            outcomes[server].append(await load)
    await plan.house.empty_queue()
    rates = {server: [run.accepted / run.seconds for run in runs] for server, runs in outcomes.items()}
    p99s = {server: [percentile(run.latencies, 0.99) * 1000 for run in runs] for server, runs in outcomes.items()}
    return [*_pair(name, "requests/s", rates), *_pair(f"{name}: p99", "ms", p99s)]


async def _stopped(plan: Plan, server: str, requests: list[bytes], connections: int) -> Stop:
    """Send SIGTERM in the middle of a load."""
    with _service(plan, server) as service:
        load = asyncio.create_task(
            closed_load(service.address, itertools.cycle(requests), connections=connections, seconds=3)
        )
        await asyncio.sleep(1)
        service.process.ask_to_stop()
        asked = time.perf_counter()
        outcome = await load
        await asyncio.to_thread(service.process.wait, 40)
        seconds = time.perf_counter() - asked
    await plan.house.empty_queue()
    return Stop(outcome.lost, seconds, service.process.exit_code())


def _of(stops: dict[str, list[Stop]], field: str) -> dict[str, list[float]]:
    return {name: [float(getattr(stop, field)) for stop in found] for name, found in stops.items()}


def _pair(name: str, unit: str, runs: dict[str, list[float]]) -> list[Figure]:
    """granian beside uvicorn; as a figure of its own where a share of nothing would be asked for."""
    uvicorn, granian = (runs[server] for server in SERVERS)
    if min(uvicorn) > 0:
        return [Figure(part=PART, name=f"granian, {name}", unit=unit, runs=granian, limit=Limit("uvicorn", uvicorn))]
    return [Figure(part=PART, name=f"{server}, {name}", unit=unit, runs=runs[server]) for server in SERVERS]
