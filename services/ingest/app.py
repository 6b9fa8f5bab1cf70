"""The app of ingest as one expression, and the tasks that live beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.middleware import Middleware

from services.ingest.admission import Admission
from services.ingest.endpoints import ENDPOINTS, ScoreIntake
from services.ingest.flood_gate import FloodGate
from services.ingest.group_commit import GroupCommit
from services.ingest.metrics import IngestMetrics
from services.ingest.queue_watch import Limits, QueueWatch
from services.ingest.settings import Settings
from shared.http.endpoint import routes
from shared.http.health import health_routes
from shared.http.openapi import document, document_routes
from shared.http.problem import HANDLERS, failure_response
from shared.http.request_id import RequestIds
from shared.key_directory import look_up
from shared.key_use import keep_telling_use
from shared.known_keys import KnownKeys
from shared.metrics import Register
from shared.quotas import Quotas
from shared.redis_client import open_redis, undurable_settings, wait_for_redis
from shared.tasks import end_tasks
from shared.version import VERSION

log = structlog.get_logger()

DOCUMENT = document("Assay ingest", "Takes scores in.", ENDPOINTS)


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Starlette]:
    """The app, with its connection and its tasks running until the end of the block."""
    redis = open_redis(settings.redis_url, timeout_seconds=settings.redis_timeout_seconds, connections_max=200)
    metrics = IngestMetrics(Register())
    queue = GroupCommit(redis, metrics)
    limits = Limits(settings.queue_entries_max, settings.queue_bytes_max, settings.queue_age_max_seconds)
    watch = QueueWatch(redis, metrics, settings.queue_shards, limits)
    gate = FloodGate(settings.flood_scores_per_second, settings.flood_burst)
    quotas = Quotas(redis)
    intake = ScoreIntake(queue, watch, gate, quotas, metrics, settings)
    keys = KnownKeys(partial(look_up, redis), settings.key_cache_seconds)
    tasks = [
        asyncio.create_task(task, name=name)
        for name, task in (
            ("group-commit", queue.run()),
            ("queue-watch", watch.run()),
            ("key-use", keep_telling_use(redis, keys)),
            ("durability", _tell_durability(redis)),
        )
    ]
    try:
        yield make_app(intake, Admission(keys, quotas), redis, metrics)
    finally:
        await end_tasks(tasks)
        await redis.aclose()


def make_app(intake: ScoreIntake, admission: Admission, redis: Redis, metrics: IngestMetrics) -> Starlette:
    async def queue_trouble() -> str | None:
        try:
            await redis.ping()
        except (RedisError, OSError) as error:
            return f"the queue can't be reached: {type(error).__name__}"
        return None

    app = Starlette(
        routes=[
            *routes(ENDPOINTS, admission.admit),
            *health_routes(VERSION, {"queue": queue_trouble}, metrics.register),
            *document_routes(DOCUMENT),
        ],
        middleware=[Middleware(RequestIds, metrics=metrics, failure_response=failure_response)],
        exception_handlers=HANDLERS,
    )
    app.state.intake = intake
    return app


async def _tell_durability(redis: Redis) -> None:
    """Say it loudly where this Redis could lose what a 202 promises."""
    await wait_for_redis(redis)
    try:
        undurable = await undurable_settings(redis)
    except (RedisError, OSError) as error:
        log.warning("queue_durability_unknown", reason=type(error).__name__)
        return
    if undurable:
        log.warning("queue_not_durable", settings=undurable, wanted="appendonly yes, appendfsync always, noeviction")
