"""A restart of every process behind the proxy, one after the other, under load: no request fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.builders import a_score
from tests.deploy.houses import House, open_house
from tests.deploy.proxy import Proxy, needs_caddy
from tests.system.processes import Service
from tests.waiting import wait_until

pytestmark = needs_caddy

CLIENTS = 4  # of each kind

Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


@pytest.fixture
def house(postgres: Any, template_database: str, tmp_path_factory: Any) -> Iterator[House]:
    with open_house(postgres, template_database, tmp_path_factory.mktemp("rolling")) as opened:
        yield opened


async def send(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/scores", json={"scores": [a_score(comment="c" * 2_000)]})


async def read(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get("/v1/scores")


async def read_by_post(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/traces/scores", json={"trace_ids": ["t1"]})


KINDS: dict[str, Ask] = {"send": send, "read": read, "read by POST": read_by_post}


class Load:
    """Clients that ask without a pause, and what came of it."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._stop = asyncio.Event()

    async def ask_on(self, kind: str, client: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            try:
                outcome = str((await KINDS[kind](client)).status_code)
            except httpx.HTTPError as error:
                outcome = repr(error)
            self.outcomes[kind, outcome] += 1

    def stop(self) -> None:
        self._stop.set()

    def failed(self) -> dict[tuple[str, str], int]:
        return {key: count for key, count in self.outcomes.items() if key[1] not in ("200", "202")}


@asynccontextmanager
async def under_load(proxy: Proxy, house: House) -> AsyncIterator[Load]:
    load = Load()
    async with _clients(proxy, house) as clients, asyncio.TaskGroup() as asking:
        for kind in KINDS:
            for client in clients:
                asking.create_task(load.ask_on(kind, client))
        try:
            yield load
        finally:
            load.stop()


@asynccontextmanager
async def _clients(proxy: Proxy, house: House) -> AsyncIterator[list[httpx.AsyncClient]]:
    clients = [httpx.AsyncClient(base_url=proxy.url, headers=house.headers, timeout=60) for _ in range(CLIENTS)]
    try:
        yield clients
    finally:
        for client in clients:
            await client.aclose()


async def restart(service: Service) -> None:
    assert await asyncio.to_thread(service.stop) == 0
    await asyncio.to_thread(service.start)


async def restart_in_turn(services: list[Service], load: Load) -> None:
    """Each once the proxy has found the one before."""
    for service in services:
        await restart(service)
        served = load.outcomes.total()
        await wait_until(lambda: load.outcomes.total() > served + 100, what="requests between two restarts")  # noqa: B023


async def test_a_rolling_restart_of_every_process_fails_no_request(house: House) -> None:
    async with under_load(house.proxy, house) as load:
        await asyncio.gather(restart_in_turn(house.ingests, load), restart_in_turn(house.apis, load))

    assert load.failed() == {}
    assert load.outcomes["send", "202"] == house.queued()  # what was said to be taken is there, and nothing twice
    assert {kind for kind, _ in load.outcomes} == KINDS.keys()


async def test_while_the_only_process_restarts_requests_wait(house: House, tmp_path: Any) -> None:
    ingest, api = house.ingests[0], house.apis[0]
    with Proxy(tmp_path, [ingest.port], [api.port]) as proxy:
        async with under_load(proxy, house) as load:
            await asyncio.gather(restart_in_turn([ingest], load), restart_in_turn([api], load))

    assert load.failed() == {}
    assert load.outcomes["send", "202"] == house.queued()
