"""Assay in one process with workers that are moved by hand: each step is a call, and they can die in between."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from redis.asyncio import Redis

from services.api.app import open_app as open_api
from services.ingest.app import open_app as open_ingest
from services.ingest.settings import Settings as IngestSettings
from services.worker.batch import Batch, open_entry
from services.worker.config_cache import ConfigCache
from services.worker.jobs.delete_scores import delete_chunk
from services.worker.jobs.replay_rejected import replay_chunk
from services.worker.jobs.running import Work, run_chunk
from services.worker.metrics import WorkerMetrics
from services.worker.persist import persist
from shared import queue
from shared.jobs import JobKind
from shared.postgres import Pool, open_pool
from tests.builders import a_categorical_config, a_numeric_config
from tests.poison import refuse_poison
from tests.stack import Project, api_settings, client_of, make_project

SHARDS = 8


class Died(Exception):
    """The worker's process ended here."""


class MortalPool:
    """A pool whose connections die at the `statements_max`-th statement. What was not committed is rolled back."""

    def __init__(self, pool: Pool, statements_max: int) -> None:
        self._pool = pool
        self.left = statements_max

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["_MortalConnection"]:
        async with self._pool.acquire() as connection:
            yield _MortalConnection(self, connection)


class _MortalConnection:
    def __init__(self, life: MortalPool, connection: Any) -> None:
        self._life = life
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        return found if name == "transaction" else self._counted(found)

    def _counted(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counted(*arguments: Any, **options: Any) -> Any:
            if self._life.left == 0:
                raise Died
            self._life.left -= 1
            return await call(*arguments, **options)

        return counted


class HandWorker:
    """read or take over, persist, acknowledge: with everything that lies between them."""

    def __init__(self, lab: "Lab", name: str) -> None:
        self._lab = lab
        self._name = name
        self._cache = ConfigCache(WorkerMetrics())
        self.unsaved: list[Batch] = []
        self.saved: list[Batch] = []

    async def read(self) -> None:
        self._take(await queue.read(self._lab.redis, self._name, SHARDS, count=2, block_ms=None))

    async def take_over(self) -> None:
        """What any other worker has in hand, also a living one: it may have been frozen."""
        for stream in queue.streams_of(SHARDS):
            self._take(await queue.claim(self._lab.redis, self._name, stream, idle_ms=0, count=3))

    def _take(self, entries: list[queue.Entry]) -> None:
        in_hand = {batch.batch_id for batch in (*self.unsaved, *self.saved)}
        opened = [open_entry(entry) for entry in entries if entry.batch_id not in in_hand]
        self.unsaved += [batch for batch in opened if isinstance(batch, Batch)]

    async def persist(self, statements_max: int | None = None) -> list[str]:
        """The ids of the batches that are persisted then. Raises `Died` after that many statements."""
        pool = self._lab.pool if statements_max is None else MortalPool(self._lab.pool, statements_max)
        if self.unsaved:
            await persist(pool, self._cache, self.unsaved)
        done, self.unsaved = self.unsaved, []
        self.saved += done
        return [batch.batch_id for batch in done]

    async def acknowledge(self) -> None:
        if self.saved:
            await queue.acknowledge(self._lab.redis, [batch.entry for batch in self.saved])
        self.saved = []


class Lab:
    """What outlives one history: the apps and their connections. `begin` makes a new project in an empty queue."""

    def __init__(self, database_url: str, redis_url: str, pool: Pool, redis: Redis) -> None:
        self.database_url, self.redis_url = database_url, redis_url
        self.pool, self.redis = pool, redis
        self.ingest: httpx.AsyncClient
        self.api: httpx.AsyncClient
        self._histories = 0

    async def begin(self) -> tuple[Project, str]:
        """The project and the id of its config for "relevance"."""
        self._histories += 1
        await self.redis.flushall()
        project = await make_project(self.database_url, self.redis_url, f"history-{self._histories}")
        await queue.ensure_groups(self.redis, SHARDS)
        made = await self.call(project, "POST", "/v1/score-configs", a_numeric_config(name="relevance", max_value=1))
        await self.call(project, "POST", "/v1/score-configs", a_categorical_config(name="safety"))
        return project, made["id"]

    async def send(self, project: Project, scores: list[dict[str, Any]]) -> dict[str, Any]:
        body = json.dumps({"scores": scores})
        answer = await self.ingest.post("/v1/scores", content=body, headers=project.headers)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def delete(self, project: Project, score_id: str) -> bool:
        """Whether there was such a score."""
        answer = await self.api.delete(f"/v1/scores/{score_id}", headers=project.headers)
        assert answer.status_code in (204, 404), answer.text
        return answer.status_code == 204

    async def run_job(self, job_id: str) -> None:
        """As the worker of the role jobs does when it is asked."""
        cache = ConfigCache(WorkerMetrics())
        work_of: dict[JobKind, Work] = {
            JobKind.DELETE_SCORES: delete_chunk,
            JobKind.REPLAY_REJECTED: lambda connection, job: replay_chunk(connection, job, cache),
        }
        while not (await run_chunk(self.pool, work_of, UUID(job_id))).state.is_final:
            pass

    async def call(
        self, project: Project, method: str, path: str, body: object = None, **params: Any
    ) -> dict[str, Any]:
        answer = await self.api.request(method, path, json=body, params=params, headers=project.headers)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def open_lab(database_url: str, redis_url: str) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as parts:
        await refuse_poison(database_url)
        pool = await open_pool(database_url, size_max=3, statement_timeout_ms=10_000, name="history")
        parts.push_async_callback(pool.close)
        redis = Redis.from_url(redis_url)
        parts.push_async_callback(redis.aclose)
        lab = Lab(database_url, redis_url, pool, redis)
        ingest = await parts.enter_async_context(open_ingest(IngestSettings(redis_url=redis_url)))
        api = await parts.enter_async_context(open_api(api_settings(database_url, redis_url)))
        lab.ingest = await parts.enter_async_context(client_of(ingest))
        lab.api = await parts.enter_async_context(client_of(api))
        yield lab
