"""What the endpoints of the api work with, held by the app; how they run a query, and how they wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import asyncpg
from redis.asyncio import Redis
from starlette.requests import Request

from services.api.complete_through import CompleteThrough
from services.api.metrics import ApiMetrics
from services.api.params import Query
from services.api.passwords import Passwords
from services.api.query_budget import QueryBudget
from services.api.settings import Settings
from services.api.sign_in_throttle import SignInThrottle
from shared.errors import QueryTooWide, StoreUnavailable
from shared.postgres import Connection, Pool, is_passing, project_transaction
from shared.schema.check import SchemaCheck

if TYPE_CHECKING:
    from shared.spans import Tracer

ACQUIRE_SECONDS = 5.0
STORE_ERRORS = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError,
)  # fmt: skip


PROJECT_PARAMETER = "project_id"
LOOK_SECONDS_MIN = 0.05
LOOK_SECONDS_EACH = 0.002

T = TypeVar("T")


class Waiters:
    """The requests of this process that wait for something to be done. The more there are, the less often each looks,
    so that all together ask the stores no more than 500 times a second."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def pause_seconds(self) -> float:
        return max(LOOK_SECONDS_MIN, LOOK_SECONDS_EACH * self.count)

    async def wait(self, found: T, look: Callable[[], Awaitable[T]], is_done: Callable[[T], bool], seconds: float) -> T:
        """What `look` finds as soon as it is done, or as it stands after `seconds`; `found` is how it stands now."""
        deadline = time.monotonic() + seconds
        self.count += 1
        try:
            while not is_done(found) and (left := deadline - time.monotonic()) > 0:
                await asyncio.sleep(min(self.pause_seconds, left))
                found = await look()
        finally:
            self.count -= 1
        return found


@dataclass(frozen=True)
class Context:
    pool: Pool
    redis: Redis
    settings: Settings
    metrics: ApiMetrics
    complete_through: CompleteThrough
    schema: SchemaCheck
    budget: QueryBudget
    throttle: SignInThrottle
    tracer: "Tracer | None" = None
    passwords: Passwords = field(default_factory=Passwords)
    waiters: Waiters = field(default_factory=Waiters)
    acquire_seconds: float = ACQUIRE_SECONDS

    @asynccontextmanager
    async def reading(self, project_id: UUID) -> AsyncIterator[Connection]:
        """A connection in one read-only snapshot of the project. Raises `QueryTooWide`, `TooManyQueries` or
        `StoreUnavailable`."""
        async with self._project(project_id, readonly=True) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, project_id: UUID) -> AsyncIterator[Connection]:
        """A connection in a transaction of the project that is committed at the end of the block."""
        async with self._project(project_id, readonly=False) as connection:
            yield connection

    @asynccontextmanager
    async def accounts(self) -> AsyncIterator[Connection]:
        """A connection in a transaction about members, workspaces and keys, which no project owns."""
        async with self._connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _project(self, project_id: UUID, *, readonly: bool) -> AsyncIterator[Connection]:
        async with (
            self.budget.turn(project_id),
            self._connection() as connection,
            project_transaction(connection, project_id, readonly=readonly),
        ):
            yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        if self.tracer is None:
            async with self._checked() as connection:
                yield connection
            return
        with self.tracer.span("postgresql", "client", {"db.system.name": "postgresql"}):
            async with self._checked() as connection:
                yield connection

    @asynccontextmanager
    async def _checked(self) -> AsyncIterator[Connection]:
        """Raises `QueryTooWide` or `StoreUnavailable`."""
        if self.schema.is_behind:
            raise StoreUnavailable("The store has not been brought to this release's schema yet.")
        try:
            async with self._acquired() as connection:
                yield connection
        except asyncpg.QueryCanceledError as error:
            seconds = self.settings.query_timeout_ms / 1000
            raise QueryTooWide(f"The query took longer than {seconds:g} s: narrow its window or filters.") from error
        except STORE_ERRORS as error:
            if is_passing(error):
                raise StoreUnavailable(self._why_unavailable(error)) from error
            raise

    def _why_unavailable(self, error: Exception) -> str:
        """A pool whose connections all stay in use shows like a store that does not answer: as a TimeoutError."""
        waited_in_vain = isinstance(error, TimeoutError) and self.pool.get_idle_size() == 0
        if waited_in_vain and self.pool.get_size() == self.pool.get_max_size():
            return "All of this process's connections to the store of scores are busy."
        return "The store of scores can't be reached."

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Connection]:
        with self.metrics.pool_wait_seconds.time():
            connection = await self.pool.acquire(timeout=self.acquire_seconds)
        try:
            yield connection
        finally:
            await self.pool.release(connection)


def query_of(request: Request) -> Query:
    """The parameters of the request but the project, which was dealt with when it was admitted."""
    return Query(pair for pair in request.query_params.multi_items() if pair[0] != PROJECT_PARAMETER)


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context
