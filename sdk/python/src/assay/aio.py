"""The client for asyncio: the same surface, with `await` where something is waited for."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any, Callable, Generic, TypeVar, Union

from assay.answers import Aggregate, Receipt, RejectedScore, Score, ScoreConfig
from assay.client import Client
from assay.counters import Counters
from assay.errors import ConfigurationError
from assay.reading import Trends
from assay.settings import Settings
from assay.table import Pages, Row, Table
from assay.tracing import Scoring
from assay.trouble import OnError

R = TypeVar("R")


class AsyncClient(Scoring):
    """Like `Client`, for code on an event loop, which it never blocks.

    `score`, `thumbs` and `add_score` take microseconds and need no `await`. What waits for the network does: `flush`,
    `shutdown` and reading, which are done by threads. `async for score in client.scores(name="relevance")`.
    """

    def __init__(self, *, on_error: OnError | None = None, **settings: Any) -> None:
        if settings.get("when_full") == "block":
            raise ConfigurationError("when_full='block' would block the event loop.")
        self._client = Client(on_error=on_error, **settings)
        self.score = self._client.score

    @property
    def settings(self) -> Settings:
        return self._client.settings

    def counters(self) -> Counters:
        return self._client.counters()

    def is_open(self) -> bool:
        return self._client.is_open()

    def on_error(self, callback: OnError | None) -> None:
        """Like `Client.on_error`. It is not called on the event loop, but by a thread that sends."""
        self._client.on_error(callback)

    async def flush(self, timeout: float | None = None) -> bool:
        """Like `Client.flush`. When it is cancelled, its thread ends too: it would hold up the end of the loop."""
        given_up = threading.Event()
        try:
            return await _in_thread(self._client._flush, timeout, given_up)
        finally:
            given_up.set()

    async def shutdown(self, timeout: float | None = None) -> bool:
        """Like `Client.shutdown`."""
        return await _in_thread(self._client.shutdown, timeout)

    def scores(self, *, limit: int | None = None, order: str = "desc", **filters: Any) -> AsyncPages[Score]:
        return AsyncPages(self._client.scores(limit=limit, order=order, **filters))

    def rejected(self, *, limit: int | None = None, **filters: Any) -> AsyncPages[RejectedScore]:
        return AsyncPages(self._client.rejected(limit=limit, **filters))

    async def score_by_id(self, id: str) -> Score:
        return await _in_thread(self._client.score_by_id, id)

    async def trace_scores(self, trace_id: str, *, limit: int = 1000) -> Table[Score]:
        return await _in_thread(self._client.trace_scores, trace_id, limit=limit)

    async def traces_scores(self, trace_ids: Sequence[str], *, limit_per_trace: int = 100) -> dict[str, Table[Score]]:
        return await _in_thread(self._client.traces_scores, trace_ids, limit_per_trace=limit_per_trace)

    async def aggregate(self, **filters: Any) -> Table[Aggregate]:
        return await _in_thread(self._client.aggregate, **filters)

    async def trends(self, name: Union[str, Sequence[str]], **filters: Any) -> Trends:
        return await _in_thread(self._client.trends, name, **filters)

    async def configs(self, **filters: Any) -> Table[ScoreConfig]:
        return await _in_thread(self._client.configs, **filters)

    async def create_config(self, **fields: Any) -> ScoreConfig:
        return await _in_thread(self._client.create_config, **fields)

    async def change_config(self, id: str, **fields: Any) -> ScoreConfig:
        return await _in_thread(self._client.change_config, id, **fields)

    async def archive_config(self, id: str) -> ScoreConfig:
        return await _in_thread(self._client.archive_config, id)

    async def receipt(self, batch_id: str, *, wait: float = 0) -> Receipt:
        return await _in_thread(self._client.receipt, batch_id, wait=wait)

    async def rejected_counts(self, **filters: Any) -> list[dict[str, Any]]:
        return await _in_thread(self._client.rejected_counts, **filters)

    async def project(self) -> dict[str, Any]:
        return await _in_thread(self._client.project)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()


class AsyncPages(Generic[Row]):
    """`Pages` for `async for`; each page is fetched by a thread."""

    def __init__(self, pages: Pages[Row]) -> None:
        self._pages = pages

    async def __aiter__(self) -> AsyncIterator[Row]:
        rows = iter(self._pages)
        while chunk := await _in_thread(_some, rows):
            for row in chunk:
                yield row

    async def to_list(self) -> Table[Row]:
        return await _in_thread(self._pages.to_list)

    async def to_pandas(self) -> Any:
        return await _in_thread(self._pages.to_pandas)


def _some(rows: Any) -> list[Any]:
    """Return the next rows, as many as a page has at most; none at the end."""
    return [row for _, row in zip(range(_CHUNK), rows)]


_CHUNK = 1000


async def _in_thread(call: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    return await asyncio.get_running_loop().run_in_executor(None, functools.partial(call, *args, **kwargs))
