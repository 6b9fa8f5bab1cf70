"""Read a page of metrics as Prometheus would."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from services.worker.app import open_worker
from services.worker.settings import Settings
from tests.stack import Stack, client_of


async def samples(client: httpx.AsyncClient) -> list[Sample]:
    return list(samples_in((await client.get("/metrics")).text))


def samples_in(page: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(page):
        yield from family.samples


def value(found: list[Sample], name: str, **labels: str) -> float | None:
    """The sum over what is not said, None where there is no such sample."""
    values = [one.value for one in found if one.name == name and labels.items() <= one.labels.items()]
    return sum(values) if values else None


@asynccontextmanager
async def a_worker(stack: Stack, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The page of a worker that runs until the end of the block."""
    stop = asyncio.Event()
    chosen = Settings(
        database_url=stack.database_url, redis_url=stack.redis_url, **{"worker_roles": "persist", **settings}
    )
    async with open_worker(chosen, stop) as worker, client_of(worker.page) as page:
        running = asyncio.create_task(worker.run())
        try:
            yield page
        finally:
            stop.set()
            await running
