"""The app of the api as one expression, and the tasks that live beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware

from services.api.bodies import BODIES_BYTES_MAX, BODY_BYTES_MAX
from services.api.complete_through import CompleteThrough
from services.api.context import Context
from services.api.endpoints import (
    api_keys,
    audit_log,
    configs,
    deletes,
    jobs,
    members,
    project,
    receipts,
    rejected,
    scores,
    session,
    statistics,
    workspaces,
)
from services.api.gate import Gate, documented
from services.api.join_page import join_routes
from services.api.key_store import look_up_in
from services.api.metrics import ApiMetrics
from services.api.query_budget import QueryBudget
from services.api.session_cookie import SECURE_NAME
from services.api.settings import Settings
from services.api.sign_in_throttle import SignInThrottle
from shared.http.bodies import Bodies
from shared.http.connections import Connections
from shared.http.endpoint import routes
from shared.http.health import Health
from shared.http.openapi import document, document_routes
from shared.http.problem import HANDLERS, failure_response
from shared.http.request_id import RequestIds
from shared.http.traced import traced
from shared.key_use import keep_telling_use
from shared.known_keys import KnownKeys
from shared.postgres import Pool, has_row_security, open_pool
from shared.quotas import Quotas
from shared.redis_client import open_redis, redis_trouble
from shared.schema.check import SchemaCheck
from shared.tasks import end_tasks

if TYPE_CHECKING:
    from shared.spans import Tracer

log = structlog.get_logger()

ROW_SECURITY_SECONDS = 5.0

# Statistics first: `/v1/scores/{id}` takes every path below `/v1/scores/`.
ENDPOINTS = (
    *statistics.ENDPOINTS,
    *deletes.ENDPOINTS,
    *scores.ENDPOINTS,
    *receipts.ENDPOINTS,
    *rejected.ENDPOINTS,
    *configs.ENDPOINTS,
    *jobs.ENDPOINTS,
    *project.ENDPOINTS,
    *api_keys.ENDPOINTS,
    *audit_log.ENDPOINTS,
    *session.ENDPOINTS,
    *workspaces.ENDPOINTS,
    *members.ENDPOINTS,
)
DOCUMENT = document(
    "Assay api",
    "Reads scores back: lists, by trace, aggregates, trends; manages configs, keys and members.",
    [documented(endpoint) for endpoint in ENDPOINTS],
    session_cookie=SECURE_NAME,
)


@asynccontextmanager
async def open_app(settings: Settings, tracer: "Tracer | None" = None) -> AsyncIterator[Starlette]:
    """The app, with its connections and its tasks running until the end of the block."""
    pool = await open_pool(
        settings.database_url,
        size_max=settings.api_pool_size,
        statement_timeout_ms=settings.query_timeout_ms,
        name="api",
        plans="force_custom_plan",  # a window of ten seconds and one of ten years are read in different ways
    )
    redis = open_redis(settings.redis_url)
    metrics = ApiMetrics()
    metrics.pool.watch("api", pool)
    schema = SchemaCheck(pool)
    # Without Redis reads still work.
    health = Health(metrics, {"store": schema.trouble}, told={"queue": lambda: redis_trouble(redis)}, schema=schema)
    complete_through = CompleteThrough(redis, metrics, settings.queue_shards)
    budget = QueryBudget(settings.project_queries_max)
    context = Context(pool, redis, settings, metrics, complete_through, schema, budget, SignInThrottle(redis), tracer)
    keys = KnownKeys(look_up_in(context), settings.key_cache_seconds)
    tasks = [
        asyncio.create_task(complete_through.run(), name="complete-through"),
        asyncio.create_task(health.watch(), name="health"),
        asyncio.create_task(keep_telling_use(redis, keys), name="key-use"),
        asyncio.create_task(_tell_row_security(pool), name="row-security"),
    ]
    try:
        yield make_app(context, keys, health)
    finally:
        await end_tasks(tasks)
        with suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), 5)
        await redis.aclose()


async def _tell_row_security(pool: Pool) -> None:
    """Say it where the login is held to no project, once that can be told."""
    while True:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            if not await has_row_security(pool):
                log.warning("row_security_bypassed", wanted="a login of the role assay_api")
            return
        await asyncio.sleep(ROW_SECURITY_SECONDS)


def make_app(context: Context, keys: KnownKeys, health: Health) -> Starlette:
    metrics = context.metrics
    gate = Gate(context, keys, Quotas(context.redis))
    metrics.waiting_requests.set_function(lambda: context.waiters.count)
    metrics.expect_failures((endpoint.method, endpoint.path) for endpoint in ENDPOINTS)
    app = Starlette(
        routes=[
            *routes(ENDPOINTS, gate.admit),
            *health.routes(),
            *document_routes(DOCUMENT),
            *join_routes(),
        ],
        middleware=[
            *traced(context.tracer),
            Middleware(RequestIds, metrics=metrics, failure_response=failure_response),
        ],
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False  # such a redirect would lead wherever the header Host says
    app.state.context = context
    app.state.bodies = Bodies(BODY_BYTES_MAX, BODIES_BYTES_MAX, context.settings.body_seconds)
    app.state.connections = Connections(context.settings.connections_max, context.settings.head_seconds, metrics)
    return app
