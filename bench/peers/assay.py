"""Assay as a store beside others: ingest, worker and api of the bench's house, set as in production."""

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager

import asyncpg
import httpx

from bench.house import House, Service
from bench.load import Address
from bench.peers.store import Kept, has_transactions
from bench.peers.waiting import wait_until_ready
from bench.peers.work import CONFIGS, Judgement, score_bodies
from bench.wire import post_requests


class Assay:
    name = "Assay"
    patience_seconds = 15.0  # a worker takes over after 5 s what a dead one was given

    def __init__(self, house: House, services: Sequence[Service], connection: asyncpg.Connection) -> None:
        self._house = house
        self._services = {service.name: service for service in services}
        self._connection = connection

    @property
    def address(self) -> Address:
        return self._services["ingest"].address

    @property
    def pids(self) -> dict[str, int]:
        return {**{name: service.pid for name, service in self._services.items()}, **self._house.server_pids}

    def requests(self, work: Sequence[Judgement]) -> list[bytes]:
        return post_requests("/v1/scores", self._house.credentials.api_key, score_bodies(work))

    async def empty(self) -> None:
        await self._house.empty(self._connection)

    async def rows(self) -> int:
        return int(await self._connection.fetchval("SELECT count(*) FROM scores"))

    async def is_busy(self) -> bool:
        return await has_transactions(self._connection)

    async def kept(self) -> Kept:
        return Kept(
            rows=await self.rows(),
            distinct=await self._connection.fetchval("SELECT count(DISTINCT (span_id, name)) FROM scores"),
        )

    def shown(self, work: Sequence[Judgement]) -> int:
        """The aggregate's count; it needs no list of the judgements."""
        del work
        headers = {"Authorization": f"Bearer {self._house.credentials.api_key}"}
        url = f"{self._services['api'].url}/v1/scores/aggregate"
        answer = httpx.get(url, headers=headers, trust_env=False, timeout=30).raise_for_status()
        return sum(item["count"] for item in answer.json()["items"])

    def kill(self) -> None:
        for service in self._services.values():
            os.kill(service.pid, signal.SIGKILL)
        for service in self._services.values():
            service.process.kill()  # waits, and ends what a service may have started

    def restart(self) -> None:
        for service in self._services.values():
            service.process.launch()
        for service in self._services.values():
            wait_until_ready(service.process, service.url)


@asynccontextmanager
async def assay(house: House) -> AsyncIterator[Assay]:
    """Assay's services until the end of the block, with a rule for every name: each score is checked."""
    with ExitStack() as stack:
        services = [stack.enter_context(house.service(name)) for name in ("ingest", "worker", "api")]
        house.adopt_configs(services[-1], CONFIGS)
        connection = await asyncpg.connect(house.database_url)
        try:
            yield Assay(house, services, connection)
        finally:
            await connection.close()
