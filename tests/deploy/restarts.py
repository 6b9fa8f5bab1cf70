"""Restart processes behind the proxy under a steady load, and count: requests that fail, scores that are lost."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx

from services.worker.jobs.verify_rollups import verify_rollups
from shared.postgres import open_pool
from tests.builders import a_score
from tests.deploy.houses import House
from tests.deploy.proxy import Proxy
from tests.system.processes import Service
from tests.waiting import wait_until

CLIENTS = 4  # of each kind
BATCH_SIZE = 3
SERVED_BETWEEN = 100  # requests, from the start of a process to the stop of the next
PATIENCE_SECONDS = 120


class Load:
    """Clients that send and read without a pause through the proxy, what came of it, and the ids that were taken."""

    def __init__(self, proxy: Proxy, house: House) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.acknowledged: list[str] = []
        self._proxy, self._house = proxy, house
        self._numbers = itertools.count()
        self._stop = asyncio.Event()

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async with self._clients() as clients, asyncio.TaskGroup() as asking:
            for client in clients:
                for kind in KINDS:
                    asking.create_task(self._ask_on(kind, client))
            try:
                yield
            finally:
                self._stop.set()

    def failed(self) -> dict[tuple[str, str], int]:
        return {key: count for key, count in self.outcomes.items() if key[1] not in ("200", "202")}

    async def has_asked(self, more: int) -> None:
        wanted = self.outcomes.total() + more
        await wait_until(
            lambda: self.outcomes.total() >= wanted, what=f"{more} requests", patience_seconds=PATIENCE_SECONDS
        )

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[list[httpx.AsyncClient]]:
        clients = [
            httpx.AsyncClient(base_url=self._proxy.url, headers=self._house.headers, timeout=60) for _ in range(CLIENTS)
        ]
        try:
            yield clients
        finally:
            for client in clients:
                await client.aclose()

    async def _ask_on(self, kind: str, client: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            try:
                outcome = str((await KINDS[kind](self, client)).status_code)
            except httpx.HTTPError as error:
                outcome = repr(error)
            self.outcomes[kind, outcome] += 1

    async def send(self, client: httpx.AsyncClient) -> httpx.Response:
        scores = [a_score(id=f"s{next(self._numbers)}", comment="c" * 2_000) for _ in range(BATCH_SIZE)]
        answer = await client.post("/v1/scores", json={"scores": scores})
        if answer.status_code == 202:
            self.acknowledged += answer.json()["ids"]
        return answer

    async def read(self, client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/v1/scores", params={"limit": 5})

    async def read_by_post(self, client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/traces/scores", json={"trace_ids": ["t1"]})


KINDS = {"send": Load.send, "read": Load.read, "read by POST": Load.read_by_post}


@dataclass(frozen=True)
class Phase:
    """Restarts of one kind of process under load, or of several side by side."""

    name: str
    restarts: int
    seconds: float
    requests: int
    failed: int


@dataclass(frozen=True)
class Kept:
    """What became of the acknowledged scores, once the queue is empty."""

    acknowledged: int
    lost: int
    stored_besides: int
    counted_by_aggregate: int
    rollups_that_differ: int


async def restart_in_turn(services: Sequence[Service], load: Load) -> None:
    """One after the other, each once the proxy has found the one before."""
    for service in services:
        assert await asyncio.to_thread(service.stop) == 0
        await asyncio.to_thread(service.start)
        await load.has_asked(SERVED_BETWEEN)


async def restart_phases(house: House, load: Load, rounds: int) -> list[Phase]:
    """Each service, then all of them side by side: `rounds` times every process of it."""
    kinds = {"ingest": house.ingests, "worker": house.workers, "api": house.apis}
    phases = [await _phase(name, [services], load, rounds) for name, services in kinds.items()]
    return [*phases, await _phase("all three at once", list(kinds.values()), load, rounds)]


async def _phase(name: str, groups: Sequence[Sequence[Service]], load: Load, rounds: int) -> Phase:
    started, asked, failed = time.monotonic(), load.outcomes.total(), sum(load.failed().values())
    for _ in range(rounds):
        await asyncio.gather(*(restart_in_turn(services, load) for services in groups))
    return Phase(
        name=name,
        restarts=rounds * sum(map(len, groups)),
        seconds=time.monotonic() - started,
        requests=load.outcomes.total() - asked,
        failed=sum(load.failed().values()) - failed,
    )


async def look_after(house: House, load: Load) -> Kept:
    await wait_until(lambda: house.queued() == 0, what="an empty queue", patience_seconds=PATIENCE_SECONDS)
    stored = await _stored(house)
    taken = set(load.acknowledged)
    answer = house.ask("GET", "/v1/scores/aggregate")
    pool = await open_pool(house.database_url, size_max=1, statement_timeout_ms=300_000, name="restarts")
    differences = await verify_rollups(pool)
    await pool.close()
    return Kept(
        acknowledged=len(load.acknowledged),
        lost=len(taken - stored.keys()),
        stored_besides=sum(stored.values()) - len(taken & stored.keys()),
        counted_by_aggregate=sum(item["count"] for item in answer.json()["items"]),
        rollups_that_differ=len(differences),
    )


async def _stored(house: House) -> Counter[str]:
    connection = await asyncpg.connect(house.database_url)
    rows: list[Any] = await connection.fetch("SELECT id FROM scores")
    await connection.close()
    return Counter(row["id"] for row in rows)


def table(phases: Sequence[Phase], kept: Kept) -> str:
    lines = ["| restarted | restarts | took | requests meanwhile | failed |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.name} | {one.restarts} | {one.seconds:.0f} s | {one.requests:,} | {one.failed} |" for one in phases
    ]
    return "\n".join(lines) + (
        f"\n\n{kept.acknowledged:,} scores acknowledged: {kept.lost} lost, {kept.stored_besides} stored that were not, "
        f"{kept.counted_by_aggregate:,} counted by the aggregate, {kept.rollups_that_differ} rollups that differ."
    )
