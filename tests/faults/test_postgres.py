"""Postgres restarts, stands still, has no connection or no room left, is locked. Ingest goes on, nothing is lost."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import asyncpg
import httpx
import psutil
import pytest

from deploy.local.privileges import unprivileged
from services.api.app import open_app as open_api
from services.api.context import Context
from services.api.metrics import ApiMetrics
from services.api.query_budget import QueryBudget
from shared.errors import StoreUnavailable
from shared.postgres import is_passing, open_pool
from shared.schema.check import SchemaCheck
from tests.builders import a_score
from tests.chaos.house import Server
from tests.faults.house import MARKS, House, working
from tests.faults.test_redis import assert_try_later
from tests.integration.rows import insert
from tests.logins import WORKER_LOGIN, as_login
from tests.stack import api_settings, client_of
from tests.system.processes import Service
from tests.waiting import wait_until

pytestmark = MARKS

BREAKS: dict[str, Callable[[Server], object]] = {"killed": Server.kill, "stopped": Server.stop}
CONNECTIONS_MAX = 100
READY_ANSWER_SECONDS_MAX = 10.0  # after that nobody who asks is still there
WAL_FILE_BYTES = 16 << 20


@asynccontextmanager
async def a_session(house: House) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(house.database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def worker_is_waiting(connection: asyncpg.Connection) -> None:
    """A worker's session waits for a table that someone else has locked."""

    async def waits() -> bool:
        return bool(
            await connection.fetchval(
                """
                SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE application_name = 'assay-worker' AND locktype = 'relation' AND NOT granted
                """
            )
        )

    await wait_until(waits, what="a worker that waits for a table")


@pytest.mark.parametrize("how", BREAKS)
async def test_ingest_goes_on_while_postgres_is_down_and_the_worker_by_itself_afterwards(
    house: House, how: str
) -> None:
    async with working(house):
        await house.store(a_score(id="before"))
        BREAKS[how](house.postgres)

        answer = await house.send(a_score(id="meanwhile"))

        assert answer.status_code == 202
        await house.has_counted("assay_worker_retries_total")
        await house.is_told("step_tried_again")
        assert house.worker is not None
        assert "store" in await house.ready_parts(house.worker)
        assert await house.ready_parts(house.ingest) == {}
        assert_try_later(await house.read("/v1/scores"), "store_unavailable")
        house.postgres.start()
        assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 1
    await house.holds_exactly({"before", "meanwhile"})


async def test_a_postgres_that_stands_still_is_waited_for(house: House) -> None:
    async with working(house):
        await house.store(a_score(id="before"))
        async with house.frozen(house.postgres):
            answers = [await house.send(a_score(id=f"s{number}")) for number in range(10)]
        assert [answer.status_code for answer in answers] == [202] * 10
        for answer in answers:
            assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 1

    await house.holds_exactly({"before", *(f"s{number}" for number in range(10))})


async def test_the_operator_sees_that_postgres_stands_still(house: House) -> None:
    async with working(house):
        await house.store(a_score(id="before"))
        assert house.worker is not None
        async with house.frozen(house.postgres):
            await house.send(a_score(id="meanwhile"))
            for client in (house.worker, house.api):
                assert "store" in await asyncio.wait_for(house.ready_parts(client), READY_ANSWER_SECONDS_MAX)


async def test_a_part_that_stands_still_holds_up_no_probe(house: House) -> None:
    patient = api_settings(house.database_url, house.redis_url)  # a statement may take longer than any probe waits
    async with open_api(patient) as app, client_of(app) as api:
        assert await house.ready_parts(api) == {}
        async with house.frozen(house.postgres):
            for _ in range(3):
                assert "store" in await asyncio.wait_for(house.ready_parts(api), READY_ANSWER_SECONDS_MAX)
            told = await asyncio.wait_for(api.get("/readyz?exclude=store"), READY_ANSWER_SECONDS_MAX)
            assert told.status_code == 200  # it says itself what is wrong, and better than a proxy
            sessions = app.state.context.pool.get_size() - app.state.context.pool.get_idle_size()
        await wait_until(lambda: _is_ready(house, api), what="a part that answers again")

    assert sessions < 3  # one check waits, however often it is asked


async def _is_ready(house: House, client: httpx.AsyncClient) -> bool:
    return await house.ready_parts(client) == {}


async def test_a_reader_is_told_to_come_back_while_postgres_stands_still(house: House) -> None:
    assert (await house.read("/v1/scores")).status_code == 200
    async with house.frozen(house.postgres):
        assert_try_later(await house.read("/v1/scores"), "store_unavailable")

    await wait_until(lambda: _reads(house))


async def _reads(house: House) -> bool:
    return (await house.read("/v1/scores")).status_code == 200


async def test_a_postgres_without_free_connections_is_waited_for(house: House) -> None:
    async with working(house, claim_idle_seconds=5), a_session(house) as session:
        await house.store(a_score(id="before"))
        taken = [await asyncpg.connect(house.postgres.url) for _ in range(20)]
        await session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'assay-%'"
        )
        taken += await _all_that_are_left(house.postgres.url)

        answer = await house.send(a_score(id="meanwhile"))

        assert answer.status_code == 202
        await house.has_counted("assay_worker_retries_total")
        await wait_until(lambda: [one for one in house.events if one.get("reason") == "TooManyConnectionsError"])
        assert_try_later(await house.read("/v1/scores"), "store_unavailable")
        await asyncio.gather(*(connection.close() for connection in taken))
        assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 1
    await house.holds_exactly({"before", "meanwhile"})


async def _all_that_are_left(url: str) -> list[asyncpg.Connection]:
    taken: list[asyncpg.Connection] = []
    while len(taken) <= CONNECTIONS_MAX:
        try:
            taken.append(await asyncpg.connect(url))
        except asyncpg.TooManyConnectionsError:
            break
    return taken


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="`prlimit` (of util-linux) is not there")
async def test_a_full_disk_is_waited_for(house: House) -> None:
    """No file may grow beyond a limit that the write-ahead log keeps and the table of scores has reached."""
    async with working(house), a_session(house) as session:
        await house.store(a_score(id="before"))
        await session.execute(
            """
            INSERT INTO scores (project_id, id, version, name, data_type, numeric_value, trace_id, source, environment,
                scored_at, received_at, comment)
            SELECT $1, 'filler-' || n, 1, 'filler', 'NUMERIC', 1, 't', 'SDK', 'default', now(), now(), repeat('x', 1500)
            FROM generate_series(1, 15000) AS n
            """,
            house.project.id,
        )
        limit_files(house.postgres, str(WAL_FILE_BYTES))

        answer = await house.send(*(a_score(id=f"s{number}", comment="y" * 1500) for number in range(100)))

        assert answer.status_code == 202
        await house.has_counted("assay_worker_retries_total")
        assert (await house.read(f"/v1/batches/{answer.json()['batch_id']}")).json()["status"] == "pending"
        limit_files(house.postgres, "unlimited")
        assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 100
        await session.execute("DELETE FROM scores WHERE name = 'filler'")
    await house.holds_exactly({"before", *(f"s{number}" for number in range(100))})


def limit_files(postgres: Server, bytes_max: str) -> None:
    """As the user that the server runs as: not even root may always do this to another's process."""
    main = psutil.Process(postgres.pid)
    for process in (main, *main.children(recursive=True)):
        command = ["prlimit", "--pid", str(process.pid), f"--fsize={bytes_max}:unlimited"]
        subprocess.run(unprivileged(command, signal.SIGTERM), check=True, capture_output=True)


async def test_a_deadlock_is_tried_again(house: House) -> None:
    async with a_session(house) as other, a_session(house) as watcher, working(house):
        await other.execute("SET deadlock_timeout = '1h'")  # so that it is the worker who is refused
        await other.execute("BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
        answer = await house.send(a_score(id="s1"))
        await worker_is_waiting(watcher)

        closing_the_circle = asyncio.create_task(other.execute("LOCK TABLE batches IN ACCESS EXCLUSIVE MODE"))

        await wait_until(lambda: [one for one in house.events if one.get("reason") == "DeadlockDetectedError"])
        await closing_the_circle
        await other.execute("ROLLBACK")
        assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 1
        assert await house.metric("assay_worker_retries_total") >= 1
    await house.holds_exactly({"s1"})


async def test_a_statement_that_waits_too_long_for_a_lock_is_tried_again(house: House) -> None:
    async with a_session(house) as other, working(house, statement_timeout_ms=200):
        await other.execute("BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
        answer = await house.send(a_score(id="s1"))

        await house.has_counted("assay_worker_retries_total", at_least=6)
        assert {one["reason"] for one in house.told("step_tried_again")} == {"LockNotAvailableError"}
        assert_try_later(await house.read("/v1/scores"), "store_unavailable")
        await other.execute("ROLLBACK")

        assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 1
    await house.holds_exactly({"s1"})


async def test_a_postgres_that_takes_no_writes_for_a_while_is_waited_for(house: House) -> None:
    """As after a fail-over to a server that is not yet promoted."""
    async with a_session(house) as session, working(house):
        await house.store(a_score(id="before"))
        await set_read_only(session, house, "on")

        answers = [await house.send(a_score(id=f"s{number}")) for number in range(5)]
        await house.has_counted("assay_worker_retries_total", at_least=15)
        await set_read_only(session, house, "off")

        for answer in answers:
            assert (await house.receipt(answer.json()["batch_id"]))["stored"] == 1
    await house.holds_exactly({"before", *(f"s{number}" for number in range(5))})


async def set_read_only(session: asyncpg.Connection, house: House, value: str) -> None:
    await session.execute("SET default_transaction_read_only = off")
    name = house.database_url.rsplit("/", 1)[1]
    await session.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
    await session.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'assay-%'"
    )


async def test_a_worker_that_freezes_inside_its_transaction_does_not_stop_the_others(house: House) -> None:
    async with a_session(house) as other, a_session(house) as watcher:
        with Service("worker", house.database_url, house.redis_url, {"ASSAY_WORKER_ROLES": "persist"}) as frozen:
            await house.receipt(await house.is_accepted(a_score(id="s1", value=0.1)))
            await other.execute("BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
            await house.is_accepted(a_score(id="s2"))
            await worker_is_waiting(watcher)
            frozen.freeze()
            await other.execute("ROLLBACK")  # now it holds its project's lock, shared; a replacement wants it alone
            async with working(house):
                await house.receipt(await house.is_accepted(a_score(id="s1", value=0.2)))
            frozen.thaw()
            await house.receipt(await house.is_accepted(a_score(id="s3")))
    await house.holds_exactly({"s1", "s2", "s3"})


@pytest.mark.parametrize("error", [asyncpg.InternalClientError, asyncpg.ReadOnlySQLTransactionError])
def test_what_a_broken_or_demoted_postgres_says_is_taken_for_passing(error: type[Exception]) -> None:
    assert is_passing(error("as seen when Postgres was killed"))


class BreakingPool:
    """A connection that ends in the middle of an answer can show like this."""

    async def acquire(self, *, timeout: float) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")


async def test_a_connection_that_ends_in_the_middle_of_an_answer_is_a_503() -> None:
    pool, absent = BreakingPool(), cast(Any, None)
    context = Context(pool, absent, absent, ApiMetrics(), absent, SchemaCheck(pool), QueryBudget(1), absent)

    with pytest.raises(StoreUnavailable, match="can't be reached"):
        async with context.reading(UUID(int=1)):
            pass


async def test_a_worker_that_stopped_in_the_middle_of_a_copy_does_not_hold_its_project(house: House) -> None:
    """Frozen, or on a machine that is gone: its connection looks alive, and PostgreSQL waits for the rest."""
    pool = await open_pool(
        as_login(house.database_url, WORKER_LOGIN), size_max=1, statement_timeout_ms=60_000, name="worker"
    )

    async def never_ends() -> AsyncIterator[bytes]:
        yield b""
        await asyncio.Event().wait()

    async def stop_in_the_middle() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT lock_scores_alone($1)", [house.project.id])
            await connection.copy_to_table("scores", source=never_ends(), columns=["id"])

    frozen = asyncio.create_task(stop_in_the_middle())
    async with working(house):
        receipt = await house.store(a_score(id="s1"))
        await house.is_told("stuck_writers_ended")
    assert receipt["stored"] == 1
    frozen.cancel()
    await asyncio.wait({frozen})
    pool.terminate()
    await house.holds_exactly({"s1"})


async def test_a_query_that_takes_too_long_by_itself_is_told_so(house: House) -> None:
    async with a_session(house) as session:
        await insert(session, house.project.id, {"id": "s1"})
        await session.execute(
            """
            ALTER TABLE score_rollups RENAME TO kept_rollups;
            CREATE VIEW score_rollups AS SELECT * FROM kept_rollups WHERE pg_sleep(5) IS NOT NULL;
                GRANT SELECT ON score_rollups TO assay_api;
            """
        )

    answer = await house.read("/v1/scores/aggregate", percentiles="false")

    assert (answer.status_code, answer.json()["code"]) == (503, "query_timeout")
    assert "narrow" in answer.json()["detail"]
    assert "Retry-After" not in answer.headers


async def test_a_reader_is_told_when_the_api_has_no_connection_left(house: House) -> None:
    pool = await open_pool(house.database_url, size_max=1, statement_timeout_ms=60_000, name="api")
    absent = cast(Any, None)
    busy = Context(
        pool, absent, absent, ApiMetrics(), absent, SchemaCheck(pool), QueryBudget(9), absent, acquire_seconds=0.05
    )

    async with busy.reading(house.project.id):
        with pytest.raises(StoreUnavailable, match="busy"):
            async with busy.reading(house.project.id):
                pass

    await pool.close()
