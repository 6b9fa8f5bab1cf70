"""Assay in one process over servers that may be broken, with the eyes of an operator: pages, metrics and log events."""

import asyncio
import gc
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from services.api.app import open_app as open_api
from services.ingest.app import open_app as open_ingest
from services.ingest.settings import Settings as IngestSettings
from services.worker.app import open_worker
from services.worker.jobs.verify_rollups import verify_rollups
from services.worker.settings import Settings as WorkerSettings
from shared.log_text import told
from shared.postgres import open_pool
from tests.chaos.house import Server
from tests.leaks import WATCH
from tests.logins import WORKER_LOGIN, as_login
from tests.poison import refuse_poison
from tests.stack import Stack, api_settings, client_of, make_project
from tests.waiting import wait_until

# A connection that was broken by force can leave its socket to the garbage collector, which then warns.
MARKS = [
    pytest.mark.xdist_group("faults"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

WORKER_SETTINGS: dict[str, Any] = {"worker_roles": "persist", "claim_idle_seconds": 0.3, "linger_ms": 0}


@dataclass
class House(Stack):
    """A `Stack` with its servers and its log. `worker` is the page of the worker that was opened last."""

    postgres: Server
    redis: Server
    events: list[MutableMapping[str, Any]] = field(default_factory=list)
    worker: httpx.AsyncClient | None = None

    def told(self, event: str) -> list[MutableMapping[str, Any]]:
        return [one for one in self.events if one["event"] == event]

    async def is_told(self, event: str) -> None:
        await wait_until(lambda: self.told(event), what=f"the log event {event}")

    async def metric(self, name: str) -> float:
        """The sum over the labels, from the worker's page."""
        assert self.worker is not None
        lines = (await self.worker.get("/metrics")).text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    async def has_counted(self, name: str, at_least: float = 1) -> None:
        async def counted() -> bool:
            return await self.metric(name) >= at_least

        await wait_until(counted, what=f"{name} ≥ {at_least}")

    async def ready_parts(self, client: httpx.AsyncClient) -> dict[str, str]:
        """What /readyz says of each part; {} when all is well."""
        answer = await client.get("/readyz")
        parts: dict[str, str] = answer.json()["parts"]
        troubles = {part: said for part, said in parts.items() if said != "ok"}
        assert (answer.status_code == 503) == bool(troubles)
        return troubles

    @asynccontextmanager
    async def frozen(self, server: Server) -> AsyncIterator[None]:
        """It stands still until the end of the block, whatever happens in it."""
        server.freeze()
        try:
            yield
        finally:
            server.thaw()

    async def is_accepted(self, *scores: dict[str, Any]) -> str:
        """Send until it is acknowledged, as a sender with patience does; the batch id."""

        async def accepted() -> str | None:
            answer = await self.send(*scores)
            return answer.json()["batch_id"] if answer.status_code == 202 else None

        return await wait_until(accepted, what="a 202") or ""

    async def holds_exactly(self, ids: set[str]) -> None:
        """Once each, in rows, aggregates and rollups."""
        rows = await self.fetch("SELECT id FROM scores ORDER BY id")
        assert [row["id"] for row in rows] == sorted(ids)
        pool = await open_pool(self.database_url, size_max=1, statement_timeout_ms=10_000, name="test")
        assert await verify_rollups(pool) == []
        await pool.close()


@asynccontextmanager
async def open_house(postgres: Server, redis: Server, database_url: str) -> AsyncIterator[House]:
    """Ingest and api, impatient with their servers; workers are opened by the test (`working`)."""
    async with AsyncExitStack() as parts:
        events = parts.enter_context(capture_logs())
        ingest_settings = IngestSettings(redis_url=redis.url, redis_timeout_seconds=0.5)
        impatient = api_settings(database_url, redis.url, query_timeout_ms=500)
        await refuse_poison(database_url)
        project = await make_project(database_url, redis.url)
        ingest = await parts.enter_async_context(open_ingest(ingest_settings))
        api = await parts.enter_async_context(open_api(impatient))
        yield House(
            ingest=await parts.enter_async_context(client_of(ingest)),
            api=await parts.enter_async_context(client_of(api)),
            project=project,
            database_url=database_url,
            redis_url=redis.url,
            postgres=postgres,
            redis=redis,
            events=events,
        )
    WATCH.search(_as_logged(events), "a house of faults")
    await asyncio.sleep(0)
    gc.collect()  # what a broken connection left behind goes while its loop still runs


def _as_logged(events: list[MutableMapping[str, Any]]) -> bytes:
    return repr(
        [{**event, "exc_info": told(event["exc_info"]) if event.get("exc_info") else None} for event in events]
    ).encode()


@asynccontextmanager
async def working(house: House, **settings: Any) -> AsyncIterator[None]:
    """A worker until the end of the block, where it drains as after SIGTERM."""
    stop = asyncio.Event()
    chosen = WorkerSettings(
        database_url=as_login(house.database_url, WORKER_LOGIN),
        redis_url=house.redis_url,
        **{**WORKER_SETTINGS, **settings},
    )
    async with open_worker(chosen, stop) as worker, client_of(worker.page) as page:
        house.worker = page
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            stop.set()
            await running
