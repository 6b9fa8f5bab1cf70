"""What the endpoints of the api work with, held by the app; and how they run a query."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from redis.asyncio import Redis
from starlette.requests import Request

from services.api.complete_through import CompleteThrough
from services.api.metrics import ApiMetrics
from services.api.settings import Settings
from shared.errors import QueryTooWide, StoreUnavailable
from shared.postgres import Connection, Pool, is_passing

ACQUIRE_SECONDS = 5.0
STORE_ERRORS = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError,
)  # fmt: skip


@dataclass(frozen=True)
class Context:
    pool: Pool
    redis: Redis
    settings: Settings
    metrics: ApiMetrics
    complete_through: CompleteThrough

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection in one read-only snapshot. Raises `QueryTooWide` or `StoreUnavailable`."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that is committed at the end of the block."""
        async with self._connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                yield connection
        except asyncpg.QueryCanceledError as error:
            seconds = self.settings.query_timeout_ms / 1000
            raise QueryTooWide(f"The query took longer than {seconds:g} s: narrow its window or filters.") from error
        except STORE_ERRORS as error:
            if is_passing(error):
                raise StoreUnavailable("The store of scores can't be reached.") from error
            raise


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context
