"""All of Assay in one process for a test: the real apps on a real Postgres and Redis, without sockets between."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from redis.asyncio import Redis

from services.api.app import open_app as open_api
from services.api.settings import Settings as ApiSettings
from services.api.writes.api_keys import make_key
from services.api.writes.workspaces import ensure_project, ensure_workspace
from services.ingest.app import open_app as open_ingest
from services.ingest.settings import Settings as IngestSettings
from services.worker.app import open_worker
from services.worker.settings import Settings as WorkerSettings
from shared.key_directory import mark_whole, publish
from shared.keys import Grant, Scope, hash_of
from tests.leaks import WATCH
from tests.logins import API_LOGIN, WORKER_LOGIN, as_login
from tests.poison import refuse_poison
from tests.waiting import wait_until


@dataclass(frozen=True)
class Project:
    """A project and a key with every scope in it."""

    id: UUID
    key: str
    workspace_id: UUID

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


async def make_project(
    database_url: str,
    redis_url: str,
    slug: str = "default",
    scopes: Iterable[Scope] = tuple(Scope),
    workspace: str = "tests",
) -> Project:
    """Known to ingest at once, as after the api made it."""
    connection = await asyncpg.connect(database_url)
    workspace_id = await ensure_workspace(connection, workspace, workspace)
    project_id = await ensure_project(connection, workspace_id, slug, slug)
    key = await make_key(connection, project_id, "test", list(scopes))
    await connection.close()
    redis = Redis.from_url(redis_url)
    grant = Grant(key_id=key.id, project_id=project_id, scopes=tuple(sorted(scopes)))
    await publish(redis, hash_of(key.secret), grant)
    await mark_whole(redis)
    await redis.aclose()
    return Project(project_id, key.secret, workspace_id)


@dataclass
class Stack:
    """What a test talks to. `send` and `read` act for `project`."""

    ingest: httpx.AsyncClient
    api: httpx.AsyncClient
    project: Project
    database_url: str
    redis_url: str

    async def send(self, *scores: dict[str, Any], project: Project | None = None) -> httpx.Response:
        """Post one batch to ingest."""
        WATCH.remember(scores)
        headers = (project or self.project).headers
        return await self.ingest.post("/v1/scores", json={"scores": list(scores)}, headers=headers)

    async def store(self, *scores: dict[str, Any], project: Project | None = None) -> dict[str, Any]:
        """Post one batch and wait for its receipt, which is returned."""
        answer = await self.send(*scores, project=project)
        assert answer.status_code in (202, 207), answer.text
        return await self.receipt(answer.json()["batch_id"], project=project)

    async def receipt(self, batch_id: str, project: Project | None = None) -> dict[str, Any]:
        async def done() -> dict[str, Any] | None:
            receipt: dict[str, Any] = (await self.read(f"/v1/batches/{batch_id}", project=project)).json()
            return receipt if receipt["status"] == "done" else None

        found: dict[str, Any] | None = await wait_until(done, what=f"the receipt of {batch_id}")
        assert found is not None
        return found

    async def read(self, path: str, project: Project | None = None, **params: Any) -> httpx.Response:
        return await self.api.get(path, params=params, headers=(project or self.project).headers)

    async def items(self, path: str, **params: Any) -> list[dict[str, Any]]:
        answer = await self.read(path, **params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    async def post(self, path: str, body: object, project: Project | None = None) -> httpx.Response:
        headers = (project or self.project).headers
        if body is None:
            return await self.api.post(path, headers=headers)
        return await self.api.post(path, json=body, headers=headers)

    async def patch(self, path: str, body: object, project: Project | None = None) -> httpx.Response:
        return await self.api.patch(path, json=body, headers=(project or self.project).headers)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """As the owner of the tables."""
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def redis_client(self) -> AsyncIterator[Redis]:
        async with Redis.from_url(self.redis_url) as client:
            yield client

    async def fetch(self, statement: str, *arguments: object) -> list[dict[str, Any]]:
        """Look into the database directly."""
        async with self.connection() as connection:
            return [dict(row) for row in await connection.fetch(statement, *arguments)]


@asynccontextmanager
async def open_stack(database_url: str, redis_url: str, workers: int = 1) -> AsyncIterator[Stack]:
    """Ingest, `workers` workers (role persist) and api, running until the end of the block."""
    await refuse_poison(database_url)
    async with AsyncExitStack() as parts:
        ingest = await parts.enter_async_context(open_ingest(IngestSettings(redis_url=redis_url)))
        api = await parts.enter_async_context(open_api(api_settings(database_url, redis_url)))
        for _ in range(workers):
            await parts.enter_async_context(running_worker(database_url, redis_url))
        yield Stack(
            ingest=await parts.enter_async_context(client_of(ingest)),
            api=await parts.enter_async_context(client_of(api)),
            project=await make_project(database_url, redis_url),
            database_url=database_url,
            redis_url=redis_url,
        )


@asynccontextmanager
async def running_worker(database_url: str, redis_url: str, **settings: Any) -> AsyncIterator[None]:
    """A worker in the role persist; at the end of the block it drains as after SIGTERM."""
    stop = asyncio.Event()
    chosen = WorkerSettings(
        database_url=as_login(database_url, WORKER_LOGIN),
        redis_url=redis_url,
        **{"worker_roles": "persist", "claim_idle_seconds": 0.5, "linger_ms": 0, **settings},
    )
    async with open_worker(chosen, stop) as worker:
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            stop.set()
            await running


def api_settings(database_url: str, redis_url: str, **settings: Any) -> ApiSettings:
    return ApiSettings(database_url=as_login(database_url, API_LOGIN), redis_url=redis_url, **settings)


def client_of(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://assay", timeout=60)
