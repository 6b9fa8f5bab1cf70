"""The app of the api as one expression, and the tasks that live beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.middleware import Middleware

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
from shared.http.endpoint import routes
from shared.http.health import health_routes
from shared.http.openapi import document, document_routes
from shared.http.problem import HANDLERS, failure_response
from shared.http.request_id import RequestIds
from shared.key_use import keep_telling_use
from shared.known_keys import KnownKeys
from shared.metrics import Register
from shared.postgres import has_row_security, open_pool, wait_for_postgres
from shared.quotas import Quotas
from shared.redis_client import open_redis
from shared.schema.runner import wait_for_schema
from shared.tasks import end_tasks
from shared.version import VERSION

log = structlog.get_logger()

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


async def wait_for_parts(settings: Settings) -> None:
    """Return once Postgres and the schema are there; services start in any order."""
    await wait_for_postgres(settings.database_url)
    await wait_for_schema(settings.database_url)
    if not await has_row_security(settings.database_url):
        log.warning("row_security_bypassed", wanted="a login of the role assay_api")


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Starlette]:
    """The app, with its connections and its tasks running until the end of the block."""
    pool = await open_pool(
        settings.database_url,
        size_max=settings.api_pool_size,
        statement_timeout_ms=settings.query_timeout_ms,
        name="api",
        plans="force_custom_plan",  # a window of ten seconds and one of ten years are read in different ways
    )
    redis = open_redis(settings.redis_url)
    metrics = ApiMetrics(Register())
    complete_through = CompleteThrough(redis, metrics, settings.queue_shards)
    budget = QueryBudget(settings.project_queries_max)
    context = Context(pool, redis, settings, metrics, complete_through, budget, SignInThrottle(redis))
    keys = KnownKeys(look_up_in(context), settings.key_cache_seconds)
    tasks = [
        asyncio.create_task(complete_through.run(), name="complete-through"),
        asyncio.create_task(keep_telling_use(redis, keys), name="key-use"),
    ]
    try:
        yield make_app(context, keys)
    finally:
        await end_tasks(tasks)
        with suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), 5)
        await redis.aclose()


def make_app(context: Context, keys: KnownKeys) -> Starlette:
    metrics = context.metrics
    gate = Gate(context, keys, Quotas(context.redis))
    metrics.pool_size.set_function(context.pool.get_size)
    metrics.pool_idle.set_function(context.pool.get_idle_size)

    async def store_trouble() -> str | None:
        try:
            await context.pool.fetchval("SELECT 1", timeout=2)
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not well
            return f"Postgres can't be reached: {type(error).__name__}"
        return None

    async def queue_trouble() -> str | None:
        try:
            await context.redis.ping()
        except (RedisError, OSError) as error:
            return f"the queue can't be reached: {type(error).__name__}"
        return None

    app = Starlette(
        routes=[
            *routes(ENDPOINTS, gate.admit),
            *health_routes(VERSION, {"store": store_trouble}, metrics.register, told={"queue": queue_trouble}),
            *document_routes(DOCUMENT),
            *join_routes(),
        ],
        middleware=[Middleware(RequestIds, metrics=metrics, failure_response=failure_response)],
        exception_handlers=HANDLERS,
    )
    app.state.context = context
    return app
