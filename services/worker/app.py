"""What one worker process is made of: its connections, its roles, its page of health and metrics."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette

from services.worker.consume import Consumer
from services.worker.handle import Handler
from services.worker.jobs.schedule import Jobs
from services.worker.metrics import WorkerMetrics
from services.worker.settings import Settings
from shared.http.health import health_routes
from shared.metrics import Register
from shared.postgres import Pool, open_pool, wait_for_postgres
from shared.queue import ensure_groups
from shared.redis_client import open_redis, wait_for_redis
from shared.schema.runner import wait_for_schema
from shared.tasks import end_tasks
from shared.version import VERSION

log = structlog.get_logger()

HEALTH_SECONDS = 2.0
JOB_CONNECTIONS = 5  # two background jobs, and the schedule


async def wait_for_parts(settings: Settings) -> None:
    """Return once Redis, Postgres and the schema are there; services start in any order."""
    redis = open_redis(settings.redis_url)
    try:
        await wait_for_redis(redis)
    finally:
        await redis.aclose()
    await wait_for_postgres(settings.database_url)
    await wait_for_schema(settings.database_url)


@asynccontextmanager
async def open_worker(settings: Settings, stop: asyncio.Event) -> AsyncIterator["WorkerProcess"]:
    """What the parts need is there: see `wait_for_parts`."""
    redis = open_redis(settings.redis_url)
    await ensure_groups(redis, settings.queue_shards)
    pool = await open_pool(
        settings.database_url,
        size_max=settings.worker_lanes + 4,  # also for what takes over, ends stuck writers, and looks after health
        statement_timeout_ms=settings.statement_timeout_ms,
        name="worker",
    )
    # Jobs have connections of their own: what waits for a project's lock there must keep no score from being stored.
    job_pool = await open_pool(
        settings.database_url,
        size_max=JOB_CONNECTIONS,
        statement_timeout_ms=settings.job_statement_timeout_ms,
        name="jobs",
    )
    try:
        yield WorkerProcess(settings, pool, job_pool, redis, stop)
    finally:
        for one in (pool, job_pool):
            with suppress(TimeoutError):
                await asyncio.wait_for(one.close(), 5)
        await redis.aclose()


class WorkerProcess:
    def __init__(self, settings: Settings, pool: Pool, job_pool: Pool, redis: Redis, stop: asyncio.Event) -> None:
        self._settings = settings
        self._pool = pool
        self._job_pool = job_pool
        self._redis = redis
        self._stop = stop
        self._metrics = WorkerMetrics(Register())
        checks = {"queue": self._queue_trouble, "store": self._store_trouble}
        self._page = Starlette(routes=health_routes(VERSION, checks, self._metrics.register))

    async def run(self) -> None:
        """Do the work of every role until `stop` is set, then drain."""
        roles = {"persist": self._persist, "jobs": self._jobs}
        chosen = [role.strip() for role in self._settings.worker_roles.split(",")]
        working = [asyncio.create_task(roles[role](), name=role) for role in chosen]
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        self._page.state.is_stopping = True
        for task in done:
            task.result()  # a role that ended by itself has failed: the process ends with its error
        await self._drain(working)

    async def _drain(self, working: list[asyncio.Task[None]]) -> None:
        _, unfinished = await asyncio.wait(working, timeout=self._settings.drain_seconds)
        for task in unfinished:
            log.warning("drain_cut_short", role=task.get_name())
        await end_tasks(unfinished)

    async def _persist(self) -> None:
        handler = Handler(
            self._pool, self._redis, self._metrics, self._stop, scores_max=self._settings.persist_scores_max
        )
        name = self._settings.worker_name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        await Consumer(self._redis, handler, self._metrics, self._settings, name, self._stop).run()

    async def _jobs(self) -> None:
        await Jobs(self._settings, self._job_pool, self._redis, self._metrics).run(self._stop)

    def page(self) -> Starlette:
        """Health and metrics over HTTP."""
        return self._page

    async def _queue_trouble(self) -> str | None:
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            return f"the queue can't be reached: {type(error).__name__}"
        return None

    async def _store_trouble(self) -> str | None:
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._pool.fetchval("SELECT 1")
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not well
            return f"Postgres can't be reached: {type(error).__name__}"
        return None
