"""Two ingests, two apis and the proxy in front of them, as real processes, and workers if asked for."""

import asyncio
import http.client
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
import httpx
from redis import Redis

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.redis import EmbeddedRedis
from tests.deploy.proxy import Proxy
from tests.stack import Project, make_project
from tests.system.processes import Service
from tests.waiting import wait_until

PAUSE_SECONDS = 5  # as in the compose file


@dataclass
class House:
    proxy: Proxy
    ingests: list[Service]
    apis: list[Service]
    workers: list[Service]
    project: Project
    database_url: str
    redis_url: str

    @property
    def headers(self) -> dict[str, str]:
        return self.project.headers

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **content: Any) -> httpx.Response:
        """One request through the proxy, with a good key."""
        return httpx.request(
            method, f"{self.proxy.url}{path}", headers={**self.headers, **(headers or {})}, timeout=60, **content
        )

    def connection(self) -> "closing[http.client.HTTPConnection]":
        return closing(http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=30))

    def ask_raw(self, path: str) -> http.client.HTTPResponse:
        """A GET of exactly this path, which other clients would tidy up first."""
        with self.connection() as connection:
            connection.request("GET", path, headers=self.headers)
            answer = connection.getresponse()
            answer.begin()
            return answer

    async def answered_by(self, request_id: str, **fields: str) -> str:
        """The service that logs the request, which it does after its answer."""

        def who() -> str | None:
            for service in (*self.ingests, *self.apis):
                if service.has_logged("request_answered", request_id=request_id, **fields):
                    return service.name
            return None

        return await wait_until(who, what=f"a line about {request_id}") or ""

    def queued(self) -> int:
        """Batches in all streams."""
        with Redis.from_url(self.redis_url) as redis:
            return sum(redis.xlen(key) for key in redis.scan_iter("assay:scores:*"))


@contextmanager
def open_house(
    postgres: EmbeddedPostgres,
    template: str,
    home: Path,
    *,
    workers: int = 0,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[House]:
    """On a database and a Redis of its own: it outlives single tests."""
    name = f"house_{uuid.uuid4().hex}"
    asyncio.run(_execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    database_url = postgres.url.rsplit("/", 1)[0] + f"/{name}"
    settings = {"ASSAY_STOP_PAUSE_SECONDS": str(PAUSE_SECONDS), **settings}
    with ExitStack() as parts:
        redis = parts.enter_context(EmbeddedRedis(home / "redis", durable=False))
        ingests = [Service("ingest", "", redis.url, settings) for _ in range(2)]
        apis = [Service("api", database_url, redis.url, settings) for _ in range(2)]
        persisting = [Service("worker", database_url, redis.url, settings) for _ in range(workers)]
        for service in (*ingests, *apis, *persisting):
            parts.push(service)
            service.start(wait=False)
        for service in (*ingests, *apis, *persisting):
            service.wait_ready()
        project = asyncio.run(make_project(database_url, redis.url))
        proxy = Proxy(home, [one.port for one in ingests], [one.port for one in apis])
        yield House(parts.enter_context(proxy), ingests, apis, persisting, project, database_url, redis.url)
    asyncio.run(_execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
