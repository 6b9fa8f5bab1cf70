"""What a request was made of goes with it, by reference counts: none of it waits for the garbage collector, which looks
at what is older only now and then (`shared/garbage.py`)."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from shared.http.server import serve
from tests.builders import a_score
from tests.stack import Stack
from tests.system.processes import free_port
from tests.waiting import wait_until

Ask = Callable[[httpx.AsyncClient, httpx.AsyncClient], Awaitable[httpx.Response]]

OF_THE_SERVER = "starlette.requests.Request"  # the client leaves circles, and its own requests in them
BAD = {"trace_id": "t1", "name": "n", "value": None}
ASKED: dict[str, tuple[Ask, int]] = {
    "a good batch": (lambda ingest, _: ingest.post("/v1/scores", json={"scores": [a_score()]}), 202),
    "a batch of which some is bad": (
        lambda ingest, _: ingest.post("/v1/scores", json={"scores": [a_score(), BAD]}),
        207,
    ),
    "a bad batch": (lambda ingest, _: ingest.post("/v1/scores", json={"scores": [BAD]}), 422),
    "no batch": (lambda ingest, _: ingest.post("/v1/scores", json=7), 400),
    "no key": (lambda ingest, _: ingest.post("/v1/scores", json={}, headers={"Authorization": "Bearer no"}), 401),
    "a probe": (lambda ingest, _: ingest.get("/readyz"), 200),
    "a list": (lambda _, api: api.get("/v1/scores"), 200),
    "an aggregate": (lambda _, api: api.get("/v1/scores/aggregate"), 200),
    "a score that is not there": (lambda _, api: api.get("/v1/scores/none"), 404),
    "a read without a key": (lambda _, api: api.get("/v1/scores", headers={"Authorization": "Bearer no"}), 401),
}


@asynccontextmanager
async def served(client: httpx.AsyncClient, headers: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """The app that a client of the tests has, over TCP, by the server that it has in production."""
    transport, port, stop = client._transport, free_port(), asyncio.Event()
    assert isinstance(transport, httpx.ASGITransport)
    serving = asyncio.create_task(serve(cast("Starlette", transport.app), "127.0.0.1", port, stop))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as over_tcp:
        await wait_until(lambda: _answers(over_tcp), what="a server that answers")
        yield over_tcp
    stop.set()
    await serving


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def circles() -> Iterator[Counter[str]]:
    """The types of what became unreachable in the block and was not gone by itself, known at its end."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.update(f"{type(one).__module__}.{type(one).__name__}" for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def test_a_circle_would_be_found() -> None:
    with circles() as found:
        request = Request({"type": "http", "headers": []})
        request.scope["assay.itself"] = request
        del request

    assert found[OF_THE_SERVER] == 1


@pytest.mark.parametrize("what", ASKED)
async def test_nothing_of_a_request_waits_for_the_garbage_collector(stack: Stack, what: str) -> None:
    ask, status = ASKED[what]
    headers = stack.project.headers

    async with served(stack.ingest, headers) as ingest, served(stack.api, headers) as api:
        with circles() as found:
            statuses = [(await ask(ingest, api)).status_code for _ in range(3)]
            await ingest.get("/healthz")  # the connection lets go of the request before
            await api.get("/healthz")

    assert statuses == [status] * 3
    assert found[OF_THE_SERVER] == 0
