"""Every alert rule fires when there is cause: real services with real trouble, scraped by a real Prometheus."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from redis.asyncio import Redis

from deploy.monitoring.panels import Panel
from services.worker.schedules import MINUTE, SCHEDULES, last_successes
from shared import queue
from shared.tasks import end_tasks
from tests.builders import a_score
from tests.hostile.raw import head, wires
from tests.integration.test_run_now import run_now
from tests.monitoring.test_files import PANELS, RULES
from tests.monitoring.watched import CONNECTIONS_MAX, Watched
from tests.stack import Project
from tests.system.processes import ROOT
from tests.waiting import wait_until

HAS_PROMETHEUS = shutil.which("prometheus") is not None

pytestmark = [
    pytest.mark.xdist_group("watched"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
needs_prometheus = pytest.mark.skipif(
    not HAS_PROMETHEUS, reason="Prometheus is not installed (Debian: apt-get install prometheus)"
)

PROVOKED: set[str] = set()
Test = TypeVar("Test", bound=Callable[..., Any])


def provokes(*names: str) -> Callable[[Test], Test]:
    """The test makes these fire, which did not before; `alerts` are their names."""
    PROVOKED.update(names)

    def mark(test: Test) -> Test:
        marked: Test = pytest.mark.parametrize("alerts", [names], ids=["+".join(names)])(needs_prometheus(test))
        return marked

    return mark


@pytest.fixture(scope="module")
def the_watched() -> Iterator[Watched]:
    with Watched() as opened:
        yield opened


@pytest.fixture
async def watched(the_watched: Watched, alerts: tuple[str, ...]) -> Watched:
    """None of the alerts that the test is about fires yet."""
    await the_watched.is_quiet(*alerts)
    return the_watched


def test_every_rule_is_provoked() -> None:
    assert set(RULES) == PROVOKED


@needs_prometheus
async def test_nothing_fires_while_all_is_well(the_watched: Watched) -> None:
    await _schedules_have_recovered(the_watched)
    await the_watched.is_quiet(*RULES)
    longest = max(int(str(rule.get("for", "0m")).removesuffix("m")) for rule in RULES.values())
    before = await the_watched.prometheus.evaluations()

    async def have_all_had_their_time() -> bool:
        await the_watched.send(a_score(name="relevance"), a_score(name="other"))
        await the_watched.read()
        assert await the_watched.prometheus.firing_alerts() == []
        return await the_watched.prometheus.evaluations() > before + 2 * longest + 10  # two a (hurried) minute

    await wait_until(have_all_had_their_time, patience_seconds=120)


async def _schedules_have_recovered(watched: Watched) -> None:
    """After an outage that a test has made, the next time of some is still to come."""
    frequent = [schedule.name for schedule in SCHEDULES if schedule.interval_seconds < MINUTE]
    async with Redis.from_url(watched.house.redis.url) as redis:
        before = await last_successes(redis)
        for name in frequent:
            await run_now(watched.house.redis.url, name)

        async def have_recovered() -> bool:
            now = await last_successes(redis)
            return all(now[name] > before[name] for name in frequent)

        await wait_until(have_recovered)


@needs_prometheus
async def test_every_panel_of_the_dashboards_shows_something(the_watched: Watched) -> None:
    await run_now(the_watched.house.redis.url, "verify_recent_rollups")
    empty = {name: panel for name, panel in PANELS.items() if panel.title not in EMPTY_WHILE_ALL_IS_WELL}

    async def found_something() -> bool:
        await the_watched.send(a_score(id="s1"), a_score(name="relevance", value=7), a_score(name=" "))
        await the_watched.read()
        for name, panel in list(empty.items()):
            if await _shows(the_watched, panel):
                del empty[name]
        return not empty

    try:
        await wait_until(found_something)
    except TimeoutError as error:
        raise TimeoutError(f"nothing in {', '.join(empty)}") from error


async def _shows(watched: Watched, panel: Panel) -> bool:
    found = [await watched.prometheus.finds(one.expr.replace("$__rate_interval", "5m")) for one in panel.queries]
    return any(found)


EMPTY_WHILE_ALL_IS_WELL = {"Connections cut off", "Failed for a reason nobody expected", "Tried again"}


@provokes("AssayBacklog", "AssayBulkBacklog", "AssayQueueNearLimit", "AssayProcessDown", "AssayReadsBehind")
async def test_nobody_stores_what_is_accepted(watched: Watched, alerts: tuple[str, ...]) -> None:
    watched.persister.stop()
    async with Redis.from_url(watched.house.redis.url) as redis:
        seconds, _ = await redis.time()
        ten_minutes_ago = f"{(seconds - 600) * 1000}-0"
        bulk = queue.stream_of(watched.project.id, 8, bulk=True)
        data = await _an_entry(watched, redis)
        try:
            await redis.delete(queue.key_of(bulk))
            await redis.xadd(queue.key_of(bulk), {queue.FIELD: data}, id=ten_minutes_ago)
            watched.api.stop()  # what was complete stays so: it has to look anew
            watched.api.start()
            await watched.fires(*alerts, meanwhile=lambda: watched.send(a_score()))
        finally:
            watched.persister.start()


async def _an_entry(watched: Watched, redis: Redis) -> bytes:
    """What ingest puts into the queue."""
    answer = await watched.send(a_score())
    assert answer is not None
    entry = await queue.find(redis, answer.json()["batch_id"])
    assert entry is not None
    return entry.data


@provokes("AssayScheduleStale")
async def test_no_worker_has_the_role_jobs(watched: Watched, alerts: tuple[str, ...]) -> None:
    watched.job_runner.stop()
    try:
        await watched.fires(*alerts)
    finally:
        watched.job_runner.start()


@provokes("AssayServiceGone")
async def test_a_service_is_gone(watched: Watched, alerts: tuple[str, ...]) -> None:
    watched.ingest.kill()
    try:
        await watched.fires(*alerts)
    finally:
        watched.ingest.start()


@provokes("AssayDatabaseAway", "AssayNotReady", "AssayApiTurnsAway")
async def test_the_database_is_away(watched: Watched, alerts: tuple[str, ...]) -> None:
    watched.house.postgres.stop()
    try:
        await watched.fires(*alerts, meanwhile=watched.read)
    finally:
        watched.house.postgres.start()


@provokes("AssayPoolExhausted", "AssayApiSlow")
async def test_a_lock_holds_up_every_read(watched: Watched, alerts: tuple[str, ...]) -> None:
    def read_by(project: Project) -> Callable[[], Any]:
        return lambda: watched.read(project=project)

    readers = [read_by(project) for project in watched.house.projects * 4]  # one project gets not all connections
    async with watched.database() as connection:
        await connection.execute("BEGIN; LOCK TABLE scores IN ACCESS EXCLUSIVE MODE")
        async with _repeating(*readers):
            await watched.fires(*alerts)
        await connection.execute("ROLLBACK")


@provokes("AssayQueueAway", "AssayIngestTurnsAway", "AssayIngestSlow")
async def test_redis_stands_still(watched: Watched, alerts: tuple[str, ...]) -> None:
    watched.house.redis.freeze()
    try:
        async with _repeating(*[lambda: watched.send(a_score())] * 4):
            await watched.fires(*alerts)
    finally:
        watched.house.redis.thaw()


@asynccontextmanager
async def _repeating(*works: Callable[[], Any]) -> AsyncIterator[None]:
    """Each again and again, at its own pace, so that there is always something to count."""

    async def repeat(work: Callable[[], Any]) -> None:
        while True:
            await work()

    repeating = [asyncio.create_task(repeat(work)) for work in works]
    try:
        yield
    finally:
        await end_tasks(repeating)


@provokes("AssayConnectionsFull")
async def test_every_connection_has_a_request_in_hand(watched: Watched, alerts: tuple[str, ...]) -> None:
    lines = [f"{name}: {text}".encode() for name, text in watched.project.headers.items()]
    unfinished = head("POST", "/v1/scores", *lines, b"Content-Length: 100")

    def come_in_crowds() -> None:
        with wires(watched.ingest.port, CONNECTIONS_MAX) as crowd:
            for wire in crowd:
                wire.send(unfinished)
            with wires(watched.ingest.port, CONNECTIONS_MAX):
                pass

    await watched.fires(*alerts, meanwhile=lambda: asyncio.to_thread(come_in_crowds))


@provokes("AssayRedisNotDurable", "AssayRedisMemory")
async def test_redis_is_set_so_that_it_may_lose_or_refuse_something(watched: Watched, alerts: tuple[str, ...]) -> None:
    async with Redis.from_url(watched.house.redis.url) as redis:
        used = (await redis.info("memory"))["used_memory"]  # it is more than that from now on
        await redis.config_set("appendfsync", "everysec")
        await redis.config_set("maxmemory", used)
        try:
            await watched.fires(*alerts)
        finally:
            await redis.config_set("appendfsync", "always")
            await redis.config_set("maxmemory", 0)


@provokes("AssayDeadLetters")
async def test_an_entry_can_t_be_read(watched: Watched, alerts: tuple[str, ...]) -> None:
    async with Redis.from_url(watched.house.redis.url) as redis:
        entry_id = (await redis.xadd(queue.key_of(0), {queue.FIELD: b"no envelope"})).decode()

    await watched.fires(*alerts)

    urls = {"DATABASE_URL": watched.house.postgres.url, "REDIS_URL": watched.house.redis.url}
    command = [sys.executable, "-m", "services.worker.dead_letters", "drop", queue.batch_id_of(0, entry_id)]
    await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=os.environ | urls, check=True, capture_output=True)
    await watched.is_quiet(*alerts)


@provokes("AssayScoresStranded")
async def test_an_entry_waits_beyond_the_shards(watched: Watched, alerts: tuple[str, ...]) -> None:
    async with Redis.from_url(watched.house.redis.url) as redis:
        beyond = queue.key_of(queue.streams_of(8).stop)
        await redis.xadd(beyond, {queue.FIELD: await _an_entry(watched, redis)})
        await watched.fires(*alerts)

        await redis.delete(beyond)
        await watched.is_quiet(*alerts)


@provokes("AssayRejects", "AssayRefusals")
async def test_a_sender_breaks_a_rule_and_another_sends_what_is_malformed(
    watched: Watched, alerts: tuple[str, ...]
) -> None:
    broken = [a_score(name="relevance", value=7) for _ in range(10)]
    malformed = [a_score(name=" ") for _ in range(10)]

    await watched.fires(*alerts, meanwhile=lambda: watched.send(a_score(), *broken, *malformed))


@provokes("AssayRollupDifferences")
async def test_a_rollup_is_not_what_its_rows_say(watched: Watched, alerts: tuple[str, ...]) -> None:
    async with watched.database() as connection:

        async def is_rolled_up() -> bool:
            return bool(await connection.fetchval("SELECT count(*) FROM score_rollups"))

        await watched.send(a_score())
        await wait_until(is_rolled_up)
        for change in (1, -1):
            await connection.execute("UPDATE score_rollups SET count = count + $1", change)
            await run_now(watched.house.redis.url, "verify_recent_rollups")
            await (watched.fires if change == 1 else watched.is_quiet)(*alerts)


@provokes("AssayInternalErrors")
async def test_a_request_fails_for_a_reason_that_nobody_expected(watched: Watched, alerts: tuple[str, ...]) -> None:
    async with watched.database() as connection:
        await connection.execute("ALTER TABLE score_configs RENAME COLUMN description TO elsewhere")
        try:
            await watched.fires(*alerts, meanwhile=lambda: watched.read("/v1/score-configs"))
        finally:
            await connection.execute("ALTER TABLE score_configs RENAME COLUMN elsewhere TO description")


@provokes("AssayBackgroundJobFailed")
async def test_a_bulk_delete_fails(watched: Watched, alerts: tuple[str, ...]) -> None:
    async with watched.database() as connection:
        await connection.execute("ALTER TABLE score_tombstones RENAME TO elsewhere")
        try:
            answer = await watched.post("/v1/scores/delete", {"ids": ["s1"]})
            assert answer is not None
            assert answer.status_code == 202
            await watched.fires(*alerts)
        finally:
            await connection.execute("ALTER TABLE elsewhere RENAME TO score_tombstones")


@provokes("AssayStoreDiskFull")
async def test_postgres_says_that_its_disk_is_full(watched: Watched, alerts: tuple[str, ...]) -> None:
    async with watched.database() as connection:
        await connection.execute(
            """
            CREATE FUNCTION has_no_room() RETURNS trigger LANGUAGE plpgsql AS
                $$BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END$$;
            CREATE TRIGGER has_no_room BEFORE INSERT ON scores FOR EACH STATEMENT EXECUTE FUNCTION has_no_room();
            """
        )
        try:
            await watched.fires(*alerts, meanwhile=lambda: watched.send(a_score()))
        finally:
            await connection.execute("DROP TRIGGER has_no_room ON scores; DROP FUNCTION has_no_room")


@provokes("AssayDiskNearlyFull")
async def test_a_node_exporter_tells_of_a_disk_that_is_nearly_full(watched: Watched, alerts: tuple[str, ...]) -> None:
    watched.node.available_bytes = 50
    await watched.fires(*alerts)

    watched.node.available_bytes = 500
    await watched.is_quiet(*alerts)
