"""What one worker process is made of: its connections, its roles, its page of health and metrics."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import structlog
from redis.asyncio import Redis
from starlette.applications import Starlette

from services.worker.consume import Consumer
from services.worker.gauges import Gauges
from services.worker.handle import Handler
from services.worker.jobs.schedule import Jobs
from services.worker.metrics import WorkerMetrics
from services.worker.moments import pass_moments_as_microseconds
from services.worker.settings import Settings
from services.worker.spans import TransactionSpans
from shared.http.health import Health
from shared.postgres import Pool, open_pool, wait_for_postgres
from shared.redis_client import open_redis, redis_trouble, wait_for_redis
from shared.schema.check import SchemaCheck
from shared.schema.runner import wait_for_schema
from shared.tasks import end_tasks

if TYPE_CHECKING:
    from shared.spans import Tracer

log = structlog.get_logger()

JOB_CONNECTIONS = 5  # two background jobs, and the schedule


@asynccontextmanager
async def open_worker(
    settings: Settings, stop: asyncio.Event, tracer: "Tracer | None" = None
) -> AsyncIterator["WorkerProcess"]:
    """The process with its connections, its page and its gauges. It needs no part to be there yet."""
    redis = open_redis(settings.redis_url)
    pool = await open_pool(
        settings.database_url,
        size_max=settings.worker_lanes + 4,  # also for what takes over, ends stuck writers, and looks after health
        statement_timeout_ms=settings.statement_timeout_ms,
        name="worker",
        init=pass_moments_as_microseconds,
    )
    # Jobs have connections of their own: what waits for a project's lock there must keep no score from being stored.
    job_pool = await open_pool(
        settings.database_url,
        size_max=JOB_CONNECTIONS,
        statement_timeout_ms=settings.job_statement_timeout_ms,
        name="jobs",
        plans="force_custom_plan",  # a plan made for any arguments reads what is left of a table for each chunk again
    )
    metrics = WorkerMetrics()
    metrics.pool.watch("worker", pool)
    metrics.pool.watch("jobs", job_pool)
    schema = SchemaCheck(pool)
    health = Health(metrics, {"queue": lambda: redis_trouble(redis), "store": schema.trouble}, schema=schema)
    watching = [
        asyncio.create_task(health.watch(), name="health"),
        asyncio.create_task(Gauges(redis, metrics, settings.queue_shards).run(), name="gauges"),
    ]
    try:
        yield WorkerProcess(settings, pool, job_pool, redis, metrics, Starlette(routes=health.routes()), stop, tracer)
    finally:
        await end_tasks(watching)
        for one in (pool, job_pool):
            with suppress(TimeoutError):
                await asyncio.wait_for(one.close(), 5)
        await redis.aclose()


class WorkerProcess:
    """`page` is health and metrics over HTTP."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        job_pool: Pool,
        redis: Redis,
        metrics: WorkerMetrics,
        page: Starlette,
        stop: asyncio.Event,
        tracer: "Tracer | None" = None,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._job_pool = job_pool
        self._redis = redis
        self._metrics = metrics
        self.page = page
        page.state.is_starting = True
        self._stop = stop
        self._spans = None if tracer is None else TransactionSpans(tracer)

    async def wait_for_parts(self) -> None:
        """Return once Redis, Postgres and the schema are there; services start in any order."""
        await wait_for_redis(self._redis)
        await wait_for_postgres(self._settings.database_url)
        await wait_for_schema(self._settings.database_url)

    async def run(self) -> None:
        """Do the work of every role until `stop` is set, then drain. What the roles need is there: see
        `wait_for_parts`."""
        roles = {"persist": self._persist, "jobs": self._jobs}
        chosen = [role.strip() for role in self._settings.worker_roles.split(",")]
        working = [asyncio.create_task(roles[role](), name=role) for role in chosen]
        self.page.state.is_starting = False
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        self.page.state.is_stopping = True
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
            self._pool,
            self._redis,
            self._metrics,
            self._stop,
            scores_max=self._settings.persist_scores_max,
            spans=self._spans,
        )
        name = self._settings.worker_name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        await Consumer(self._redis, handler, self._metrics, self._settings, name, self._stop).run()

    async def _jobs(self) -> None:
        await Jobs(self._settings, self._job_pool, self._redis, self._metrics).run(self._stop)
