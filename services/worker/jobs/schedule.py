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
from arq.cron import CronJob
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
from services.worker.schedules import (
    MINUTE,
    SCHEDULES,
    Schedule,
    is_overdue,
    note_differences,
    note_start,
    note_success,
)
from services.worker.settings import Settings
from shared.clock import utc_now
from shared.job_queue import ask_once, ask_to_run, open_arq
from shared.jobs import QUEUE_NAME, RUN_JOB, JobKind
from shared.log_text import words_of
from shared.postgres import Pool
from shared.tasks import end_tasks

log = structlog.get_logger()

RECENT = timedelta(days=2)
COMPLETION_WAIT_SECONDS = 20
ASK_SECONDS_MAX = 60
RUN_OVERDUE = "run_overdue"
OVERDUE_DELAY_SECONDS = 10  # after a start: what comes round in that time has run, and scores have begun to flow
OVERDUE_SECONDS_MAX = sum(schedule.timeout_seconds for schedule in SCHEDULES) + MINUTE
POLL_SECONDS = 0.1  # what a replay of one score waits for at the most

Job = Callable[[], Coroutine[Any, Any, None]]


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
        self._redis_url = settings.redis_url
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
        self._background = BackgroundJobs(
            pool, work_of, lambda kind, state: metrics.background_jobs.labels(kind, state).inc()
        )
        self._scheduled: dict[str, Job] = {
            "reconcile_keys": self.reconcile_keys,
            "record_key_use": self.record_key_use,
            "run_stale_jobs": self.run_stale_jobs,
            "verify_recent_rollups": self.verify_recent_rollups,
            "verify_all_rollups": self.verify_all_rollups,
            "apply_retention": self.apply_retention,
            "housekeeping": self.housekeeping,
            "tidy_consumers": self.tidy_consumers,
        }
        for name in self._scheduled:
            for result in ("done", "failed"):
                metrics.schedule_runs.labels(name, result)  # from 0: see `WorkerMetrics`

    async def run(self, stop: asyncio.Event) -> None:
        """Run what is asked for, and the schedule, until `stop` is set."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._background.run(stop), name="background-jobs")
            tasks.create_task(_run_arq(self._open_arq_worker, stop), name="schedule")

    async def ask(self, _context: dict[str, Any], job_id: str) -> None:
        """The api has made a background job (services.worker.jobs.running). Returns at once: it takes no slot of the
        schedule's."""
        await self._background.ask(UUID(job_id))

    async def reconcile_keys(self) -> None:
        wrong = await reconcile_keys(self._pool, self._redis)
        if wrong:
            log.info("keys_reconciled", wrong=wrong)

    async def record_key_use(self) -> None:
        await record_key_use(self._pool, self._redis)

    async def verify_recent_rollups(self) -> None:
        await self._verify("verify_recent_rollups", utc_now() - RECENT)

    async def verify_all_rollups(self) -> None:
        await self._verify("verify_all_rollups", None)

    async def _verify(self, name: str, since: datetime | None) -> None:
        differences = await verify_rollups(self._pool, since)
        await note_differences(self._redis, name, len(differences))
        log.info("rollups_verified", differences=len(differences), whole=since is None)

    async def run_stale_jobs(self) -> None:
        for job_id in await stale_jobs(self._pool):
            log.warning("job_taken_up_again", job_id=str(job_id))
            await ask_to_run(self._redis, job_id)

    async def apply_retention(self) -> None:
        log.info("retention_applied", **msgspec.structs.asdict(await apply_retention(self._pool)))

    async def housekeeping(self) -> None:
        tombstones = await forget_tombstones(self._pool, self._redis, self._shards)
        log.info("housekeeping_done", tombstones=tombstones, receipts=await forget_receipts(self._pool))

    async def tidy_consumers(self) -> None:
        await tidy_consumers(self._redis, self._shards)

    async def run_overdue(self, _context: dict[str, Any]) -> None:
        """What has missed its time while no worker had this role. One after the other, so that background jobs and the
        schedule keep their connections; the longest last, as the others would wait for it."""
        for schedule in sorted(SCHEDULES, key=lambda one: one.timeout_seconds):
            if await is_overdue(self._redis, schedule, utc_now()):
                await self.run_scheduled(schedule)

    async def run_scheduled(self, schedule: Schedule) -> None:
        """One that fails or takes too long says so and waits for its next time: arq would only log its arguments."""
        try:
            async with asyncio.timeout(schedule.timeout_seconds):
                await self._scheduled[schedule.name]()
            await note_success(self._redis, schedule.name, utc_now())
        except Exception as error:  # noqa: BLE001 - told, counted, and tried again at its next time
            self._metrics.schedule_runs.labels(schedule.name, "failed").inc()
            log.warning("job_failed", job=schedule.name, reason=type(error).__name__, detail=words_of(error)[:200])
        else:
            self._metrics.schedule_runs.labels(schedule.name, "done").inc()

    async def _open_arq_worker(self) -> Worker:
        """Not yet running."""
        redis_pool = await open_arq(self._redis_url)
        with suppress(RedisError):  # it is full: then nothing is noted
            await note_start(self._redis, utc_now())
            await ask_once(self._redis, RUN_OVERDUE, OVERDUE_DELAY_SECONDS)
        ask, run_overdue = cast(WorkerCoroutine, self.ask), cast(WorkerCoroutine, self.run_overdue)
        return Worker(
            functions=[
                func(ask, name=RUN_JOB, timeout=ASK_SECONDS_MAX, max_tries=3, keep_result=0),
                # One that a stop has interrupted goes on at the next start: it looks anew at what is overdue.
                func(run_overdue, name=RUN_OVERDUE, timeout=OVERDUE_SECONDS_MAX, max_tries=1000, keep_result=0),
            ],
            cron_jobs=[self._cron_of(schedule) for schedule in SCHEDULES],
            redis_pool=redis_pool,
            queue_name=QUEUE_NAME,
            handle_signals=False,
            keep_result=0,
            job_serializer=msgspec.msgpack.encode,
            job_deserializer=msgspec.msgpack.decode,
            poll_delay=POLL_SECONDS,
            log_results=False,
        )

    def _cron_of(self, schedule: Schedule) -> CronJob:
        async def run(_context: dict[str, Any]) -> None:
            await self.run_scheduled(schedule)

        run.__qualname__ = schedule.name
        return cron(
            cast(WorkerCoroutine, run),
            name=schedule.name,
            timeout=schedule.timeout_seconds + MINUTE,  # its own comes first, and is told
            run_at_startup=schedule.at_start,
            keep_result=0,
            max_tries=1,
            **cast(dict[str, Any], schedule.when),
        )
