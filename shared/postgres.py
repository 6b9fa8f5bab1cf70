"""Open Postgres: the pool that the worker and the api use, and what every connection of it has in common."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal, TypeAlias
from uuid import UUID

import asyncpg
import structlog

from shared.errors import StoreUnavailable

# asyncpg has no types of its own: to mypy these are Any, and what comes out of them becomes Structs at once.
Connection: TypeAlias = asyncpg.Connection
Pool: TypeAlias = asyncpg.Pool

log = structlog.get_logger()

IDLE_IN_TRANSACTION_MS = 10_000

# SQLSTATE classes of what passes by itself: connection trouble, a transaction in a state it should not be in (a standby
# takes no writes), lack of resources, operator intervention, a deadlock, a serialization failure, a lock or statement
# that took too long.
_PASSING_CLASSES = ("08", "25", "53", "57", "40", "55", "58")


async def open_pool(
    url: str,
    *,
    size_max: int,
    statement_timeout_ms: int,
    name: str,
    plans: Literal["auto", "force_custom_plan"] = "auto",
    init: Callable[[Connection], Awaitable[None]] | None = None,
) -> Pool:
    """A pool of at most `size_max` connections. Does not wait for Postgres: see `wait_for_postgres`.

    `plans` is PostgreSQL's plan_cache_mode: "force_custom_plan" where the best plan depends on the arguments.
    `init` is done to each new connection.
    """
    return await asyncpg.create_pool(
        url,
        min_size=0,  # a pool with a floor logs a traceback a second while Postgres is away
        max_size=size_max,
        command_timeout=statement_timeout_ms / 1000 + 5,
        max_inactive_connection_lifetime=300,
        init=init,
        server_settings={
            "application_name": application_name(name),
            "statement_timeout": str(statement_timeout_ms),
            # So that who waits for others can be told from who takes too long by itself.
            "lock_timeout": str(statement_timeout_ms // 2),
            # A process that is frozen inside a transaction must not hold its locks for ever.
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
            # A peer whose machine is gone is noticed within a minute, and not after two hours.
            "tcp_keepalives_idle": "30",
            "tcp_keepalives_interval": "10",
            "tcp_keepalives_count": "3",
            "timezone": "UTC",
            "extra_float_digits": "1",  # a double as text names it and no other: rollups add up what that says
            "plan_cache_mode": plans,
            "jit": "off",
        },
    )


@asynccontextmanager
async def project_transaction(connection: Connection, project_id: UUID, *, readonly: bool) -> AsyncIterator[None]:
    """A transaction that sees rows of this project alone, where the login is subject to row-level security
    (schema.sql). With `readonly` it is one snapshot. Begun in one round trip: asyncpg's own would take another."""
    mode = "ISOLATION LEVEL REPEATABLE READ READ ONLY" if readonly else "READ WRITE"
    await connection.execute(f"BEGIN {mode}; SET LOCAL assay.project_id = '{project_id}'")
    try:
        yield
    except BaseException:
        await _roll_back(connection)
        raise
    await connection.execute("COMMIT")


async def _roll_back(connection: Connection) -> None:
    """What ended the block is worth telling, not that the connection went with it."""
    if not connection.is_closed():
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await connection.execute("ROLLBACK")


@asynccontextmanager
async def savepoint(connection: Connection) -> AsyncIterator[None]:
    """What fails inside is undone, and the transaction goes on."""
    await connection.execute("SAVEPOINT here")
    try:
        yield
    except asyncpg.PostgresError:
        await connection.execute("ROLLBACK TO SAVEPOINT here")
        raise
    await connection.execute("RELEASE SAVEPOINT here")


def application_name(pool: str) -> str:
    """What PostgreSQL shows of a session of that pool."""
    return f"assay-{pool}"


async def wait_for_postgres(url: str, pause_seconds: float = 0.5) -> None:
    """Return once Postgres answers; services start in any order."""
    said = False
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            if not said:
                log.warning("postgres_awaited", reason=type(error).__name__)
                said = True
            await asyncio.sleep(pause_seconds)
        else:
            await connection.close()
            return


async def has_row_security(pool: Pool) -> bool:
    """Whether this login is subject to row-level security: an owner of the tables, or a superuser, is not."""
    return bool(await pool.fetchval("SELECT row_security_active('scores')"))


def is_passing(error: BaseException) -> bool:
    """Whether the same statement can succeed later: the store is away or busy, the data is not at fault. Of one that
    took too long nobody can tell: see `took_too_long`."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in _PASSING_CLASSES
    # A connection that ends in the middle of an answer also shows as InternalClientError.
    broken = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, StoreUnavailable)
    return isinstance(error, broken)


def took_too_long(error: BaseException) -> bool:
    """Whether the statement itself took longer than it may; waiting for a lock is another error."""
    return isinstance(error, asyncpg.QueryCanceledError)


def affected(command_tag: str) -> int:
    """The row count in a command tag such as `UPDATE 3`."""
    return int(command_tag.rsplit(" ", 1)[-1])
