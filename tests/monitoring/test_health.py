"""What a process says of itself from outside: alive, ready, which part is missing, and by which releases."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from shared.schema.runner import wanted_version
from shared.version import VERSION
from tests.builders import a_score
from tests.monitoring.pages import a_worker, samples, value
from tests.stack import Project, Stack
from tests.system.processes import Service
from tests.waiting import wait_until

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


async def readiness(url: str) -> tuple[int, dict[str, Any]] | None:
    """Status and body, None while nothing listens."""
    async with httpx.AsyncClient(timeout=10) as client:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.HTTPError:
            return None
    return answer.status_code, answer.json()


async def is_ready(url: str) -> bool:
    found = await readiness(url)
    return found is not None and found[0] == 200


async def says(url: str, part: str, trouble: str) -> dict[str, Any]:
    """Wait until /readyz says so; its body."""

    async def told() -> dict[str, Any] | None:
        found = await readiness(url)
        return found[1] if found and found[0] == 503 and trouble in found[1]["parts"].get(part, "") else None

    body: dict[str, Any] | None = await wait_until(told, what=f"{part}: {trouble}")
    assert body is not None
    return body


async def closed(url: str) -> bool:
    return await readiness(url) is None


@contextmanager
def starting(name: str, database_url: str, redis_url: str) -> Iterator[Service]:
    """A process that is not ready yet."""
    service = Service(name, database_url, redis_url).start(wait=False)
    try:
        yield service
    finally:
        service.__exit__()


@pytest.mark.parametrize("name", ["api", "worker"])
async def test_what_opens_the_database_says_its_release_and_the_schema_s(idle_stack: Stack, name: str) -> None:
    async with a_worker(idle_stack) as worker:
        client = {"api": idle_stack.api, "worker": worker}[name]
        found = (await client.get("/readyz")).json()

    wanted = {"version": VERSION, "schema_version": wanted_version(), "schema_version_wanted": wanted_version()}
    assert found == {"ready": True, "parts": {"store": "ok", "queue": "ok"}, **wanted}


async def test_ingest_which_opens_no_database_says_its_release(idle_stack: Stack) -> None:
    found = (await idle_stack.ingest.get("/readyz")).json()

    assert found == {"ready": True, "parts": {"queue": "ok"}, "version": VERSION}


@pytest.mark.parametrize("name", ["api", "worker"])
async def test_a_process_that_waits_for_postgres_is_alive_and_says_what_it_waits_for(redis_url: str, name: str) -> None:
    with starting(name, NOWHERE, redis_url) as service:
        body = await says(service.url, "store", "can't be reached")
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{service.url}/healthz")).status_code == 200

    assert (body["schema_version"], body["schema_version_wanted"]) == (None, wanted_version())


@pytest.mark.parametrize("name", ["api", "worker"])
async def test_a_process_that_comes_before_its_migration_waits_for_it(
    database_url: str, redis_url: str, connection: asyncpg.Connection, name: str
) -> None:
    await connection.execute("UPDATE schema_migrations SET version = -version WHERE version = $1", wanted_version())
    with starting(name, database_url, redis_url) as service:
        body = await says(service.url, "store", "this release needs")
        async with httpx.AsyncClient(timeout=30) as client:
            without_the_store = await client.get(f"{service.url}/readyz?exclude=store")
        await connection.execute("UPDATE schema_migrations SET version = -version WHERE version < 0")
        await wait_until(lambda: is_ready(service.url))

    assert body["schema_version"] == wanted_version() - 1
    assert without_the_store.status_code == 503
    assert "has not been seen yet" in str(without_the_store.json()["parts"])


async def test_the_api_asks_for_patience_until_the_schema_is_there(
    idle_stack: Stack, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE schema_migrations SET version = -version WHERE version = $1", wanted_version())
    assert (await idle_stack.api.get("/readyz")).status_code == 503

    answer = await idle_stack.read("/v1/scores")

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("name", ["ingest", "api"])
async def test_a_process_that_stops_is_not_ready_any_more_and_answers_until_it_closes(
    database_url: str, redis_url: str, project: Project, name: str
) -> None:
    with Service(name, database_url, redis_url, {"ASSAY_STOP_PAUSE_SECONDS": "5"}) as service:
        service.send_signal(signal.SIGTERM)
        await says(service.url, "process", "stopping")
        async with httpx.AsyncClient(base_url=service.url, headers=project.headers) as client:
            answer = (
                await client.post("/v1/scores", json={"scores": [a_score()]})
                if name == "ingest"
                else await client.get("/v1/scores")
            )
            alive = await client.get("/healthz")
        await wait_until(lambda: closed(service.url))

        assert (answer.status_code, alive.status_code) == ({"ingest": 202, "api": 200}[name], 200)
        assert service.wait() == 0


async def test_a_worker_that_drains_is_not_ready_any_more(idle_stack: Stack, connection: asyncpg.Connection) -> None:
    with Service("worker", idle_stack.database_url, idle_stack.redis_url) as worker:
        await connection.execute("BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
        batch_id = (await idle_stack.send(a_score())).json()["batch_id"]
        await wait_until(lambda: connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        worker.send_signal(signal.SIGTERM)
        await says(worker.url, "process", "stopping")
        await connection.execute("ROLLBACK")

        assert worker.wait() == 0
    assert (await idle_stack.receipt(batch_id))["stored"] == 1


async def test_a_part_that_goes_and_comes_back_is_told(idle_stack: Stack, connection: asyncpg.Connection) -> None:
    async def part_ok() -> float | None:
        return value(await samples(idle_stack.api), "assay_api_part_ok", part="store")

    async def is_well() -> bool:
        return await part_ok() == 1

    async def is_in_trouble() -> bool:
        return await part_ok() == 0

    with capture_logs() as events:
        await wait_until(is_well)
        await connection.execute("ALTER TABLE schema_migrations RENAME TO elsewhere")
        await wait_until(is_in_trouble)
        await connection.execute("ALTER TABLE elsewhere RENAME TO schema_migrations")
        await wait_until(is_well)

    told = [(one["event"], one["part"]) for one in events if one["event"].startswith("part_")]
    assert told == [("part_in_trouble", "store"), ("part_well_again", "store")]
