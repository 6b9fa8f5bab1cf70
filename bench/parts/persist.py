"""How fast workers alone bring in what is queued, of several projects: one worker, then several (SPEC 13)."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import asyncpg
import psutil
from msgspec import Struct

from bench.figures import Figure, Limit
from bench.house import House, Service
from bench.load import closed_load
from bench.parts.end_to_end import CONNECTIONS, until_readable
from bench.plan import Plan, in_turn
from bench.usage import CpuMeter
from shared.queue import stream_of
from tests.stack import Project, make_project

PART = "persist"
WORKERS = (1, 2, 4)
ROUNDS_MAX = 3
SHARDS, SHARDS_USED = 8, 4
SILENCE_SECONDS = 0.5  # longer than a worker's read of the queue may wait for something


class Drained(Struct, frozen=True):
    scores_per_second: float
    cpu_seconds: float


async def measure(plan: Plan) -> list[Figure]:
    projects = await projects_on_shards(plan.house)
    with plan.house.service("api") as api:
        for project in projects:
            plan.house.adopt_configs(api, plan.rows.configs, project.key)
    found: dict[int, list[Drained]] = {workers: [] for workers in WORKERS}
    connection = await asyncpg.connect(plan.house.database_url)
    for number in range(min(plan.rounds, ROUNDS_MAX)):
        for workers in in_turn(WORKERS, number):
            found[workers].append(await _drained(plan, connection, projects, workers))
    await connection.close()
    return [*(_rate(found, workers) for workers in WORKERS), *(_cpu(plan, found, workers) for workers in WORKERS)]


async def projects_on_shards(house: House) -> list[Project]:
    """As many as the shards that are used, each on another one."""
    by_shard: dict[int, Project] = {}
    for number in itertools.count(1):
        project = await make_project(house.database_url, house.redis_url, slug=f"persist-{number}")
        by_shard.setdefault(stream_of(project.id, SHARDS), project)
        if len(by_shard) == SHARDS_USED:
            break
    return list(by_shard.values())


async def _drained(plan: Plan, connection: asyncpg.Connection, projects: Sequence[Project], workers: int) -> Drained:
    """The workers are up and stand still while all rows are queued; the clock starts when they go on."""
    await plan.house.empty(connection)
    with ExitStack() as stack:
        running = [stack.enter_context(plan.house.service(f"worker-{number + 1}")) for number in range(workers)]
        with standing_still(running):
            await asyncio.sleep(SILENCE_SECONDS)  # a read that has not ended would be handed the first batch
            count = await _queue(plan, projects)
            meter = CpuMeter({**{worker.name: worker.pid for worker in running}, **plan.house.server_pids})
            started = time.perf_counter()
        await until_readable(connection, count)
        seconds = time.perf_counter() - started
        used = meter.used()
    return Drained(count / seconds, sum(used.values()) - used["load generator"])


@contextmanager
def standing_still(services: Sequence[Service]) -> Iterator[None]:
    processes = [psutil.Process(service.pid) for service in services]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def _queue(plan: Plan, projects: Sequence[Project]) -> int:
    """Every row for one of the projects, in turn batch by batch; how many."""
    requests = [plan.batches_of(100, project.key)[place :: len(projects)] for place, project in enumerate(projects)]
    mixed = [request for together in itertools.zip_longest(*requests) for request in together if request is not None]
    with plan.house.service("ingest") as ingest:
        outcome = await closed_load(ingest.address, iter(mixed), connections=CONNECTIONS)
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    return len(plan.rows.scores)


def _rate(found: dict[int, list[Drained]], workers: int) -> Figure:
    rates = {of: [run.scores_per_second for run in found[of]] for of in (1, workers)}
    return Figure(
        part=PART,
        name=f"{_processes(workers)}, {SHARDS_USED} projects on {SHARDS_USED} shards, from a full queue",
        unit="scores/s",
        runs=rates[workers],
        limit=None if workers == 1 else Limit("1 process", rates[1]),
    )


def _cpu(plan: Plan, found: dict[int, list[Drained]], workers: int) -> Figure:
    runs = [run.cpu_seconds / len(plan.rows.scores) * 1e6 for run in found[workers]]
    return Figure(part=PART, name=f"{_processes(workers)}: CPU, servers included", unit="µs/score", runs=runs)


def _processes(workers: int) -> str:
    return f"{workers} worker {'process' if workers == 1 else 'processes'}"
