"""The arq worker of the role `jobs`: which job runs when.

arq's own habits are turned where they could hurt (docs/architecture.md): msgpack instead of pickle, no results kept, a
stop waits for the job in hand. Every schedule is harmless when it runs twice or late.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import msgspec
import structlog
from arq import cron, func
from arq.typing import WorkerCoroutine
from arq.worker import Worker
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.worker.backoff import waits
from services.worker.config_cache import ConfigCache
from services.worker.jobs.delete_rejected import delete_rejected_chunk
from services.worker.jobs.delete_scores import delete_chunk
from services.worker.jobs.housekeeping import apply_retention, forget_receipts, forget_tombstones
from services.worker.jobs.keys import reconcile_keys, record_key_use
from services.worker.jobs.replay_rejected import replay_chunk
from services.worker.jobs.running import BackgroundJobs, Work, stale_jobs
from services.worker.jobs.tidy_consumers import tidy_consumers
from services.worker.jobs.verify_rollups import verify_rollups
from services.worker.metrics import WorkerMetrics
from services.worker.settings import Settings
from shared.clock import utc_now
from shared.job_queue import ask_to_run, open_arq
from shared.jobs import QUEUE_NAME, RUN_JOB, JobKind
from shared.postgres import Pool
from shared.tasks import end_tasks

log = structlog.get_logger()

RECENT = timedelta(days=2)
COMPLETION_WAIT_SECONDS = 20
ASK_SECONDS_MAX = 60
POLL_SECONDS = 0.1  # what a replay of one score waits for at the most
EVERY_5_SECONDS = set(range(0, 60, 5))

Job = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]


async def _run_arq(open_worker: Callable[[], Coroutine[Any, Any, Worker]], stop: asyncio.Event) -> None:
    """Run arq until `stop` is set; after a failure of Redis, which arq does not survive, open it again."""
    stopping = asyncio.create_task(stop.wait())
    for wait in waits(max_seconds=2.0):
        opening = asyncio.create_task(open_worker())
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():  # it waits for Redis
            await end_tasks([opening])
            return
        worker = opening.result()
        running = asyncio.create_task(worker.async_run())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and (error := running.exception()) is not None:
            log.warning("jobs_interrupted", reason=type(error).__name__)
        await _close(worker, running)
        if stop.is_set():
            return
        await asyncio.sleep(wait)


async def _close(worker: Worker, running: asyncio.Task[None]) -> None:
    """Let the jobs in hand finish for a while. arq's own `close` would cancel them at once."""
    worker.allow_pick_jobs = False
    if worker.tasks:
        await asyncio.wait(worker.tasks.values(), timeout=COMPLETION_WAIT_SECONDS)
    await end_tasks([running, *worker.tasks.values()])
    with suppress(RedisError, OSError):
        await worker.pool.aclose(close_connection_pool=True)


class Jobs:
    """Every job: its method does it once."""

    def __init__(self, settings: Settings, pool: Pool, redis: Redis, metrics: WorkerMetrics) -> None:
        self.redis_url = settings.redis_url
        self._shards = settings.queue_shards
        self._pool = pool
        self._redis = redis
        self._metrics = metrics
        cache = ConfigCache(metrics)
        work_of: dict[JobKind, Work] = {
            JobKind.DELETE_SCORES: delete_chunk,
            JobKind.REPLAY_REJECTED: lambda connection, job: replay_chunk(connection, job, cache),
            JobKind.DELETE_REJECTED: delete_rejected_chunk,
        }
        self._background = BackgroundJobs(pool, work_of, lambda kind, state: metrics.job_runs.labels(kind, state).inc())

    async def run(self, stop: asyncio.Event) -> None:
        """Run what is asked for, and the schedule, until `stop` is set."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._background.run(stop), name="background-jobs")
            tasks.create_task(_run_arq(lambda: _open_arq_worker(self, self._metrics), stop), name="schedule")

    async def ask(self, _context: dict[str, Any], job_id: str) -> None:
        """The api has made a background job (services.worker.jobs.running). Returns at once: it takes no slot of the
        schedule's."""
        await self._background.ask(UUID(job_id))

    async def reconcile_keys(self, _context: dict[str, Any]) -> None:
        wrong = await reconcile_keys(self._pool, self._redis)
        if wrong:
            log.info("keys_reconciled", wrong=wrong)

    async def record_key_use(self, _context: dict[str, Any]) -> None:
        await record_key_use(self._pool, self._redis)

    async def verify_recent_rollups(self, _context: dict[str, Any]) -> None:
        await self._verify(utc_now() - RECENT)

    async def verify_all_rollups(self, _context: dict[str, Any]) -> None:
        await self._verify(None)

    async def _verify(self, since: datetime | None) -> None:
        differences = await verify_rollups(self._pool, since)
        self._metrics.rollup_differences.set(len(differences))
        log.info("rollups_verified", differences=len(differences), whole=since is None)

    async def run_stale_jobs(self, _context: dict[str, Any]) -> None:
        for job_id in await stale_jobs(self._pool):
            log.warning("job_taken_up_again", job_id=str(job_id))
            await ask_to_run(self._redis, job_id)

    async def apply_retention(self, _context: dict[str, Any]) -> None:
        log.info("retention_applied", **msgspec.structs.asdict(await apply_retention(self._pool)))

    async def housekeeping(self, _context: dict[str, Any]) -> None:
        tombstones = await forget_tombstones(self._pool, self._redis, self._shards)
        log.info("housekeeping_done", tombstones=tombstones, receipts=await forget_receipts(self._pool))

    async def tidy_consumers(self, _context: dict[str, Any]) -> None:
        await tidy_consumers(self._redis, self._shards)


async def _open_arq_worker(jobs: Jobs, metrics: WorkerMetrics) -> Worker:
    """Not yet running."""

    def scheduled(job: Job, **when: Any) -> Any:
        run = cast(WorkerCoroutine, _counted(job, metrics))
        return cron(run, name=job.__name__, keep_result=0, max_tries=1, **when)

    ask = cast(WorkerCoroutine, jobs.ask)
    return Worker(
        functions=[func(ask, name=RUN_JOB, timeout=ASK_SECONDS_MAX, max_tries=3, keep_result=0)],
        cron_jobs=[
            scheduled(jobs.reconcile_keys, second=EVERY_5_SECONDS, run_at_startup=True),
            scheduled(jobs.record_key_use, second={9, 24, 39, 54}),
            scheduled(jobs.verify_recent_rollups, minute={17}, second={0}, timeout=1800),
            scheduled(jobs.verify_all_rollups, hour={3}, minute={41}, second={0}, timeout=6 * 3600),
            scheduled(jobs.run_stale_jobs, second={7, 22, 37, 52}, run_at_startup=True),
            scheduled(jobs.apply_retention, minute={29}, second={0}, timeout=3600),
            scheduled(jobs.housekeeping, minute={11, 41}, second={30}, timeout=600),
            scheduled(jobs.tidy_consumers, minute={5, 35}, second={0}),
        ],
        redis_pool=await open_arq(jobs.redis_url),
        queue_name=QUEUE_NAME,
        handle_signals=False,
        keep_result=0,
        job_serializer=msgspec.msgpack.encode,
        job_deserializer=msgspec.msgpack.decode,
        poll_delay=POLL_SECONDS,
        log_results=False,
    )


def _counted(job: Job, metrics: WorkerMetrics) -> Job:
    """A job that fails says so and waits for its next time: arq would only log its arguments."""
    name = job.__name__

    async def run(context: dict[str, Any]) -> None:
        try:
            await job(context)
        except Exception as error:  # noqa: BLE001 - told, counted, and tried again by the schedule
            metrics.job_runs.labels(name, "failed").inc()
            log.warning("job_failed", job=name, reason=type(error).__name__, detail=str(error)[:200])
        else:
            metrics.job_runs.labels(name, "done").inc()

    run.__qualname__ = name
    return run
