"""How many queries one project may have in hand at once: one that asks for much leaves the others their connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from shared.errors import TooManyQueries

WAIT_SECONDS = 5.0
RETRY_AFTER_SECONDS = 2


@dataclass
class _Turns:
    free: asyncio.Semaphore
    users: int = 0  # who has a turn or waits for one


class QueryBudget:
    """Of one process. A project that nobody asks about is forgotten."""

    def __init__(self, at_once_max: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._at_once_max = at_once_max
        self._wait_seconds = wait_seconds
        self._turns: dict[UUID, _Turns] = {}

    @property
    def projects(self) -> int:
        """How many have queries in hand."""
        return len(self._turns)

    @asynccontextmanager
    async def turn(self, project_id: UUID) -> AsyncIterator[None]:
        """Raises `TooManyQueries` when none ended in time."""
        turns = self._turns.setdefault(project_id, _Turns(asyncio.Semaphore(self._at_once_max)))
        turns.users += 1
        try:
            await self._wait_for(turns)
            try:
                yield
            finally:
                turns.free.release()
        finally:
            turns.users -= 1
            if turns.users == 0:
                del self._turns[project_id]

    async def _wait_for(self, turns: _Turns) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turns.free.acquire()
        except TimeoutError:
            raise TooManyQueries(
                f"The project has {self._at_once_max} queries in hand, as many as it may.", RETRY_AFTER_SECONDS
            ) from None
