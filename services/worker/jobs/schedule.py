"""The arq worker of the role `jobs`: which job runs when.

arq's own habits are turned where they could hurt (docs/architecture.md): msgpack instead of pickle, no results kept, a
stop waits for the job in hand. Every schedule is harmless when it runs twice or late.
"""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, cast

import msgspec
import structlog
from arq import cron
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.typing import WorkerCoroutine
from arq.worker import Worker
from redis.asyncio import Redis

from services.worker.jobs.reconcile_keys import reconcile_keys
from services.worker.jobs.tidy_consumers import tidy_consumers
from services.worker.jobs.verify_rollups import verify_rollups
from services.worker.metrics import WorkerMetrics
from services.worker.settings import Settings
from shared.clock import utc_now
from shared.postgres import Pool

log = structlog.get_logger()

QUEUE_NAME = "assay:jobs"
RECENT = timedelta(days=2)
COMPLETION_WAIT_SECONDS = 20
EVERY_5_SECONDS = set(range(0, 60, 5))

Job = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]


async def open_jobs(settings: Settings, pool: Pool, redis: Redis, metrics: WorkerMetrics) -> Worker:
    """The worker, not yet running."""

    async def keys(_context: dict[str, Any]) -> None:
        wrong = await reconcile_keys(pool, redis)
        if wrong:
            log.info("keys_reconciled", wrong=wrong)

    async def recent_rollups(_context: dict[str, Any]) -> None:
        await _verify(since_days=RECENT)

    async def all_rollups(_context: dict[str, Any]) -> None:
        await _verify(since_days=None)

    async def _verify(since_days: timedelta | None) -> None:
        since = None if since_days is None else utc_now() - since_days
        differences = await verify_rollups(pool, since)
        metrics.rollup_differences.set(len(differences))
        log.info("rollups_verified", differences=len(differences), whole=since is None)

    async def consumers(_context: dict[str, Any]) -> None:
        await tidy_consumers(redis, settings.queue_shards)

    def scheduled(name: str, job: Job, **when: Any) -> Any:
        run = cast(WorkerCoroutine, _counted(name, job, metrics))
        return cron(run, name=name, keep_result=0, max_tries=1, **when)

    return Worker(
        functions=[],
        cron_jobs=[
            scheduled("reconcile_keys", keys, second=EVERY_5_SECONDS, run_at_startup=True),
            scheduled("verify_recent_rollups", recent_rollups, minute={17}, second={0}, timeout=1800),
            scheduled("verify_all_rollups", all_rollups, hour={3}, minute={41}, second={0}, timeout=6 * 3600),
            scheduled("tidy_consumers", consumers, minute={5, 35}, second={0}),
        ],
        redis_pool=await open_arq(settings.redis_url),
        queue_name=QUEUE_NAME,
        handle_signals=False,
        keep_result=0,
        job_completion_wait=COMPLETION_WAIT_SECONDS,
        job_serializer=msgspec.msgpack.encode,
        job_deserializer=msgspec.msgpack.decode,
        log_results=False,
    )


async def open_arq(redis_url: str) -> ArqRedis:
    settings = RedisSettings.from_dsn(redis_url)
    settings.conn_retries = 1_000_000  # services start in any order
    return await create_pool(
        settings,
        default_queue_name=QUEUE_NAME,
        job_serializer=msgspec.msgpack.encode,
        job_deserializer=msgspec.msgpack.decode,
    )


def _counted(name: str, job: Job, metrics: WorkerMetrics) -> Job:
    """A job that fails says so and waits for its next time: arq would only log its arguments."""

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
