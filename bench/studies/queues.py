"""How many entries a second Redis Streams carry, and how many jobs arq: why the hot path is not arq's (ADR 1)."""

import time
from typing import Any, cast
from urllib.parse import urlsplit

from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker
from redis.asyncio import Redis

from bench.figures import Figure, Limit
from bench.plan import Plan, in_turn

PART = "queues"
JOBS = 5_000
ENTRIES = 50_000
READ_ENTRIES = 1_000
DATABASE = 15  # of the house's Redis: nobody else is there
WAYS = ["streams", "arq"]


async def measure(plan: Plan) -> list[Figure]:
    """One consumer each, that does nothing with what it gets, and acknowledges it."""
    url = urlsplit(plan.house.redis_url)._replace(path=f"/{DATABASE}").geturl()
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(plan.rounds):
        for way in in_turn(WAYS, number):
            rates[way].append(await (_entries_per_second(url) if way == "streams" else _jobs_per_second(url)))
    return [
        Figure(
            part=PART,
            name="stream entries read and acknowledged by one consumer",
            unit="entries/s",
            runs=rates["streams"],
            limit=Limit("jobs of one arq worker that do nothing", rates["arq"]),
        )
    ]


async def _entries_per_second(url: str) -> float:
    redis = Redis.from_url(url)
    await redis.flushdb()
    for start in range(0, ENTRIES, READ_ENTRIES):
        pipeline = redis.pipeline(transaction=False)
        for number in range(start, start + READ_ENTRIES):
            pipeline.xadd("entries", {"d": f"{number}"})
        await pipeline.execute()
    await redis.xgroup_create("entries", "group", id="0")
    done, started = 0, time.perf_counter()
    while found := await redis.xreadgroup("group", "one", {"entries": ">"}, count=READ_ENTRIES):
        ids = [entry_id for entry_id, _ in found[0][1]]
        await redis.xack("entries", "group", *ids)
        done += len(ids)
    seconds = time.perf_counter() - started
    await redis.aclose()
    return done / seconds


async def _nothing(_context: dict[Any, Any]) -> None: ...


async def _jobs_per_second(url: str) -> float:
    settings = RedisSettings.from_dsn(url)
    redis = await create_pool(settings)
    await redis.flushdb()
    for _ in range(JOBS):
        await redis.enqueue_job("nothing")
    worker = Worker(
        functions=[func(cast("Any", _nothing), name="nothing", keep_result=0)],
        redis_settings=settings,
        burst=True,
        handle_signals=False,
        max_jobs=100,
        poll_delay=0.01,
    )
    started = time.perf_counter()
    await worker.main()
    seconds = time.perf_counter() - started
    await worker.close()
    await redis.aclose()
    if worker.jobs_complete != JOBS:
        raise RuntimeError(f"arq did {worker.jobs_complete} of {JOBS} jobs")
    return JOBS / seconds
