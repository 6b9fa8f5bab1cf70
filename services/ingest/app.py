"""The app of ingest as one expression, and the tasks that live beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware

from services.ingest.admission import Admission
from services.ingest.endpoints import ENDPOINTS, ScoreIntake
from services.ingest.flood_gate import FloodGate
from services.ingest.group_commit import GroupCommit
from services.ingest.metrics import IngestMetrics
from services.ingest.queue_watch import Limits, QueueWatch
from services.ingest.redis_watch import RedisWatch
from services.ingest.settings import Settings
from shared.http.connections import Connections
from shared.http.endpoint import routes
from shared.http.health import Health
from shared.http.openapi import document, document_routes
from shared.http.problem import HANDLERS, failure_response
from shared.http.request_id import RequestIds
from shared.http.traced import traced
from shared.key_directory import look_up
from shared.key_use import keep_telling_use
from shared.known_keys import KnownKeys
from shared.quotas import Quotas
from shared.redis_client import open_redis, redis_trouble
from shared.tasks import end_tasks

if TYPE_CHECKING:
    from shared.spans import Tracer

DOCUMENT = document("Assay ingest", "Takes scores in.", ENDPOINTS)

REPLICAS_SECONDS = 1.0  # a replica confirms within milliseconds, or is away


@asynccontextmanager
async def open_app(settings: Settings, tracer: "Tracer | None" = None) -> AsyncIterator[Starlette]:
    """The app, with its connection and its tasks running until the end of the block."""
    redis = open_redis(settings.redis_url, timeout_seconds=settings.redis_timeout_seconds, connections_max=200)
    metrics = IngestMetrics()
    queue = GroupCommit(
        redis,
        metrics,
        replicas=settings.queue_replicas,
        replicas_seconds=min(REPLICAS_SECONDS, settings.redis_timeout_seconds / 2),
    )
    limits = Limits(settings.queue_entries_max, settings.queue_bytes_max, settings.queue_age_max_seconds)
    watch = QueueWatch(redis, metrics, settings.queue_shards, limits)
    gate = FloodGate(settings.flood_scores_per_second, settings.flood_burst)
    quotas = Quotas(redis)
    intake = ScoreIntake(queue, watch, gate, quotas, metrics, settings, tracer)
    keys = KnownKeys(partial(look_up, redis), settings.key_cache_seconds)
    health = Health(metrics, {"queue": lambda: redis_trouble(redis)})
    tasks = [
        asyncio.create_task(task, name=name)
        for name, task in (
            ("group-commit", queue.run()),
            ("queue-watch", watch.run()),
            ("redis-watch", RedisWatch(redis, metrics).run()),
            ("health", health.watch()),
            ("key-use", keep_telling_use(redis, keys)),
        )
    ]
    try:
        yield make_app(intake, Admission(keys, quotas), health, metrics, settings, tracer)
    finally:
        await end_tasks(tasks)
        await redis.aclose()


def make_app(
    intake: ScoreIntake,
    admission: Admission,
    health: Health,
    metrics: IngestMetrics,
    settings: Settings,
    tracer: "Tracer | None" = None,
) -> Starlette:
    metrics.expect_failures((endpoint.method, endpoint.path) for endpoint in ENDPOINTS)
    app = Starlette(
        routes=[
            *routes(ENDPOINTS, admission.admit),
            *health.routes(),
            *document_routes(DOCUMENT),
        ],
        middleware=[
            *traced(tracer),
            Middleware(RequestIds, metrics=metrics, failure_response=failure_response),
        ],
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False  # such a redirect would lead wherever the header Host says
    app.state.intake = intake
    app.state.connections = Connections(settings.connections_max, settings.head_seconds, metrics)
    return app
