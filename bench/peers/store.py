"""What the bench must be able to do with a store of scores, whichever it is: all are measured by the same code."""

from collections.abc import Sequence
from typing import Protocol

import asyncpg
from msgspec import Struct

from bench.load import Address
from bench.peers.work import Judgement


class Kept(Struct, frozen=True):
    """What is in a store's table: its rows, and how many different judgements they are."""

    rows: int
    distinct: int


class Store(Protocol):
    """`patience_seconds`: idle for so long, nothing more will come of it; longer than its own retries take."""

    @property
    def name(self) -> str: ...

    @property
    def patience_seconds(self) -> float: ...

    @property
    def address(self) -> Address:
        """Where judgements are sent."""

    @property
    def pids(self) -> dict[str, int]:
        """The processes that do the work, those of the databases included."""

    def requests(self, work: Sequence[Judgement]) -> list[bytes]: ...

    async def empty(self) -> None: ...

    async def rows(self) -> int:
        """How many rows another connection to the database sees."""

    async def is_busy(self) -> bool:
        """Whether it is at work in its database right now: rows become visible only when a transaction ends."""

    async def kept(self) -> Kept: ...

    def shown(self, work: Sequence[Judgement]) -> int:
        """How many of the judgements the store's own read API knows of."""

    def kill(self) -> None:
        """SIGKILL to all processes of the store, at once. The databases live on."""

    def restart(self) -> None:
        """Start again what was killed. Returns when it is ready."""


async def has_transactions(connection: asyncpg.Connection) -> bool:
    """Whether somebody else is in a transaction in this connection's database."""
    return bool(
        await connection.fetchval("""
            SELECT EXISTS (
                SELECT
                FROM pg_stat_activity
                WHERE datname = current_database()
                  AND backend_type = 'client backend'
                  AND state <> 'idle'
                  AND pid <> pg_backend_pid()
            )
        """)
    )
