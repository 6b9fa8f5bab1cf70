"""Measure one drain: a full queue, so many workers, the clock from when all of them may write until it is empty."""

import time
from dataclasses import dataclass

import asyncpg
import psutil
from redis import Redis

from bench.usage import CpuMeter
from shared.queue import key_of, streams_of
from tests.scaling.fill import fill
from tests.site import Site
from tests.stack import Project
from tests.waiting import wait_until

PATIENCE_SECONDS = 1800
# Workers wait for a lock while the others start; they must not give up meanwhile.
STATEMENT_TIMEOUT_MS = "240000"


@dataclass(frozen=True)
class Setting:
    """`commit_ms`: how long PostgreSQL waits before each commit, as one does whose disk is far away."""

    workers: int
    shards: int = 8
    lanes: int = 2
    commit_ms: int = 0

    def __str__(self) -> str:
        return f"{self.workers} workers, {self.shards} shards, {self.lanes} lanes, commits wait {self.commit_ms} ms"


@dataclass(frozen=True)
class Drain:
    """`cpu_seconds` by process; "others" is what none of ours used. Bytes are for one score."""

    seconds: float
    cpu_seconds: dict[str, float]
    redis_bytes: float
    table_bytes: float
    index_bytes: float
    rollup_bytes: float

    def cpu(self, part: str) -> float:
        """Of all processes whose name begins so."""
        return sum(seconds for name, seconds in self.cpu_seconds.items() if name.startswith(part))


async def drain(site: Site, projects: list[Project], setting: Setting, scores: int) -> Drain:
    connection = await asyncpg.connect(site.postgres.url)
    await connection.execute("TRUNCATE scores, batches, rejected_scores")
    await connection.execute("CHECKPOINT")
    for name, value in (("commit_delay", setting.commit_ms * 1000), ("commit_siblings", 0)):
        await connection.execute(f"ALTER SYSTEM SET {name} = {value}")
    await connection.execute("SELECT pg_reload_conf()")
    with Redis.from_url(site.redis.url) as redis:
        for stream in streams_of(setting.shards):
            redis.delete(key_of(stream))
        before = redis.info("memory")["used_memory"]
        filled = fill(site.redis.url, [project.id for project in projects], scores, setting.shards)
        redis_bytes = (redis.info("memory")["used_memory"] - before) / scores
        seconds, cpu = await _drained(site, connection, redis, projects, setting)
    batches, stored = await connection.fetchrow("SELECT count(*), coalesce(sum(stored), 0) FROM batches")
    assert (batches, stored) == (len(filled), scores), "scores were lost"
    table, indexes, rollups = await connection.fetchrow(_SIZES)
    await connection.close()
    return Drain(seconds, cpu, redis_bytes, table / scores, indexes / scores, rollups / scores)


async def _drained(
    site: Site, connection: asyncpg.Connection, redis: "Redis", projects: list[Project], setting: Setting
) -> tuple[float, dict[str, float]]:
    """The workers start while all projects are locked: so that starting them is no part of it."""
    streams = [key_of(stream) for stream in streams_of(setting.shards)]
    async with connection.transaction():
        await connection.execute("SELECT lock_scores_alone($1)", [project.id for project in projects])
        workers = [
            site.start(
                "worker",
                ASSAY_QUEUE_SHARDS=str(setting.shards),
                ASSAY_WORKER_LANES=str(setting.lanes),
                ASSAY_STATEMENT_TIMEOUT_MS=STATEMENT_TIMEOUT_MS,
                ASSAY_CLAIM_IDLE_SECONDS="300",
            )
            for _ in range(setting.workers)
        ]
        servers = {"postgres": site.postgres.process.pid, "redis": site.redis.process.pid}
        pids = {name: pid for name, pid in servers.items() if pid is not None}
        cpu = CpuMeter({**pids, **{f"worker {number}": worker.pid for number, worker in enumerate(workers, 1)}})
        started, busy = time.perf_counter(), _busy_seconds()
    await wait_until(
        lambda: not any(redis.xlen(stream) for stream in streams), what="the drain", patience_seconds=PATIENCE_SECONDS
    )
    seconds, used = time.perf_counter() - started, cpu.used()
    used["others"] = max(0.0, _busy_seconds() - busy - sum(used.values()))
    for worker in workers:
        worker.stop()
    return seconds, used


def _busy_seconds() -> float:
    """Of all cores, of the whole machine."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


_SIZES = """
SELECT
    pg_relation_size('scores'), pg_indexes_size('scores'), pg_total_relation_size('score_rollups')
"""
