"""Redis fails over to a replica, and Sentinels say where the master is. What was acknowledged is stored, once; all
services go on by themselves."""

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from structlog.testing import capture_logs

from services.ingest.app import open_app as open_ingest
from services.ingest.settings import Settings as IngestSettings
from services.worker.jobs.verify_rollups import verify_rollups
from shared.postgres import open_pool
from shared.redis_client import open_redis
from shared.sentinel import NotTheMaster
from tests.builders import a_score
from tests.faults.house import MARKS
from tests.faults.sentinels import Group, Node, open_group, redis_node, running, sentinel_node, url_through
from tests.integration.test_run_now import run_now
from tests.stack import client_of, make_project
from tests.system.processes import ROOT, Service, first_start
from tests.waiting import wait_until

pytestmark = MARKS

BREAKS = {"killed": (Node.kill, Node.start), "frozen": (Node.freeze, Node.thaw)}
SENDERS = 4
SCORES_OF_A_BATCH = 5
BATCHES_MORE = 400
FAILOVER_PATIENCE_SECONDS = 90.0


@dataclass
class Sent:
    """What senders were told, by when. Each sends a batch again, with the same ids, until it is acknowledged."""

    url: str
    key: str
    ids: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    acknowledged_at: list[float] = field(default_factory=list)

    async def send_on(self, sender: int, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=15) as client:
            for number in itertools.count():
                if stop.is_set():
                    return
                ids = [f"{sender}-{number}-{index}" for index in range(SCORES_OF_A_BATCH)]
                await self._send_until_acknowledged(client, [a_score(id=one) for one in ids])
                self.ids.update(ids)
                self.acknowledged_at.append(time.monotonic())

    async def _send_until_acknowledged(self, client: httpx.AsyncClient, scores: list[dict[str, Any]]) -> None:
        async def acknowledged() -> bool:
            answer = await client.post("/v1/scores", json={"scores": scores}, headers=self._headers)
            if answer.status_code != 202:
                self.refused[answer.json()["code"]] += 1
            return answer.status_code == 202

        await wait_until(acknowledged, what="a 202", patience_seconds=FAILOVER_PATIENCE_SECONDS)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def goes_on(self) -> None:
        """Until some more are acknowledged that were sent from now on."""
        wanted = len(self.acknowledged_at) + BATCHES_MORE
        await wait_until(
            lambda: len(self.acknowledged_at) >= wanted, what="202s", patience_seconds=FAILOVER_PATIENCE_SECONDS
        )

    def longest_pause_seconds(self, since: float) -> float:
        times = [since, *(at for at in self.acknowledged_at if at > since)]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


class Site:
    """The services as processes, none of which is ever started again, with a Redis through Sentinels."""

    def __init__(self, database_url: str, group: Group, replicas: int) -> None:
        made = first_start(database_url, group.url)
        self.group = group
        self.database_url = database_url
        self.key: str = made["api_key"]
        settings = {"ASSAY_CLAIM_IDLE_SECONDS": "1.0", "ASSAY_QUEUE_REPLICAS": str(replicas)}
        self.services = {name: Service(name, database_url, group.url, settings) for name in ("ingest", "worker", "api")}
        self._parts = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as parts:
            for service in self.services.values():
                parts.enter_context(service)
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[Sent]:
        """Until the end of the block, when all that was sent is acknowledged."""
        sent, stop = Sent(self.services["ingest"].url, self.key), asyncio.Event()
        async with asyncio.TaskGroup() as senders:
            for number in range(SENDERS):
                senders.create_task(sent.send_on(number, stop))
            try:
                await sent.goes_on()
                yield sent
            finally:
                stop.set()

    @contextmanager
    def backlog(self) -> Iterator[None]:
        """Until the end of the block what is acknowledged is in Redis alone: the worker stands still."""
        self.services["worker"].freeze()
        try:
            yield
        finally:
            self.services["worker"].thaw()

    async def holds_exactly(self, ids: set[str]) -> None:
        """In rows, aggregates and rollups, once each."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(base_url=self.services["api"].url, headers=headers) as api:

            async def count() -> int:
                items = (await api.get("/v1/scores/aggregate")).json()["items"]
                return sum(item["count"] for item in items)

            async def all_are_stored() -> bool:
                return await count() >= len(ids)

            await wait_until(all_are_stored, what=f"{len(ids)} scores")
            pool = await open_pool(self.database_url, size_max=1, statement_timeout_ms=10_000, name="test")
            stored = [row["id"] for row in await pool.fetch("SELECT id FROM scores")]
            assert await verify_rollups(pool) == []
            await pool.close()
            print(f"acknowledged {len(ids)}, lost {len(ids - set(stored))}, doubled {await count() - len(set(stored))}")
            assert sorted(stored) == sorted(ids)
            assert await count() == len(ids)

    async def is_well(self) -> None:
        """Every service of itself; and from the request of a job to its end, the api, arq and the worker together."""
        for service in self.services.values():
            await wait_until(partial(is_ready, service), what=f"{service.name} is ready")
            assert service.exit_code() is None
        assert await run_now(self.group.url, "reconcile_keys") == (0, "asked for reconcile_keys\n")
        await self._a_job_is_done()

    async def _a_job_is_done(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(base_url=self.services["api"].url, headers=headers) as api:
            asked = await api.post("/v1/scores/delete", json={"ids": ["no such score"]})
            assert asked.status_code == 202, asked.text

            async def done() -> bool:
                job = await api.get(f"/v1/jobs/{asked.json()['id']}")
                return bool(job.json()["state"] == "done")

            await wait_until(done, what="the job")


def is_ready(service: Service) -> bool:
    return httpx.get(f"{service.url}/readyz", timeout=5).status_code == 200


@pytest.mark.parametrize(("how", "come_back"), BREAKS.values(), ids=list(BREAKS))
async def test_a_master_that_is_gone_is_replaced_and_nothing_acknowledged_is_lost_or_doubled(
    database_url: str, tmp_path: Path, how: Callable[[Node], None], come_back: Callable[[Node], None]
) -> None:
    with open_group(tmp_path, replicas=2) as group, Site(database_url, group, replicas=1) as site:
        async with site.under_load() as sent:
            before, gone_at = group.master, time.monotonic()
            with site.backlog():
                await sent.goes_on()
                how(before)
                await wait_until(lambda: group.master is not before, what="a new master")
                await sent.goes_on()
            print(f"{how.__name__}: {sent.longest_pause_seconds(gone_at):.1f} s without a 202, {dict(sent.refused)}")
            come_back(before)
            await wait_until(group.is_settled, what="three in step", patience_seconds=FAILOVER_PATIENCE_SECONDS)
            await sent.goes_on()

        await site.is_well()
        await site.holds_exactly(sent.ids)


async def test_with_all_replicas_needed_a_failover_and_the_one_back_lose_and_double_nothing(
    database_url: str, tmp_path: Path
) -> None:
    with open_group(tmp_path, replicas=1) as group, Site(database_url, group, replicas=1) as site:
        async with site.under_load() as sent:
            before, killed_at = group.master, time.monotonic()
            before.kill()
            await wait_until(lambda: group.master is not before, what="a new master")
            before.start()  # without it nobody is told 202: the new master has no replica
            await sent.goes_on()
            print(f"killed: {sent.longest_pause_seconds(killed_at):.1f} s without a 202, {dict(sent.refused)}")
            await wait_until(group.is_settled, what="two in step", patience_seconds=FAILOVER_PATIENCE_SECONDS)

            asked_at = time.monotonic()
            with site.backlog():
                await wait_until(group.fail_over, what="a failover", patience_seconds=FAILOVER_PATIENCE_SECONDS)
                await wait_until(lambda: group.master is before, what="the old master again")
                await sent.goes_on()
            print(f"asked for: {sent.longest_pause_seconds(asked_at):.1f} s without a 202, {dict(sent.refused)}")
            await wait_until(group.is_settled, what="two in step", patience_seconds=FAILOVER_PATIENCE_SECONDS)

        await site.is_well()
        await site.holds_exactly(sent.ids)


@contextmanager
def watched(folder: Path, node: Node) -> Iterator[str]:
    """The URL of a node that a Sentinel names as the master, whatever it is: one alone fails nothing over."""
    sentinel = sentinel_node(folder / "sentinel", "secret", {"assay": node}, quorum=2)
    with running(sentinel):
        yield url_through([sentinel], node)


async def test_where_a_sentinel_leads_to_a_replica_nothing_is_written(tmp_path: Path) -> None:
    master = redis_node(tmp_path / "master", "secret")
    replica = redis_node(tmp_path / "replica", "secret", master)
    with running(master, replica), watched(tmp_path, replica) as url:
        redis = open_redis(url)

        with pytest.raises(NotTheMaster):
            await redis.set("key", "value")

        await redis.aclose()
        assert replica.role == "slave"
        assert master.ask("DBSIZE") == replica.ask("DBSIZE") == 0


async def test_a_master_that_was_demoted_is_left_though_the_connection_lives(tmp_path: Path) -> None:
    node = redis_node(tmp_path / "node", "secret")
    with running(node), watched(tmp_path, node) as url:
        redis = open_redis(url, connections_max=1)
        await redis.set("key", "before")
        demoted = node.ask("REPLICAOF", "127.0.0.1", "1")

        with pytest.raises(NotTheMaster):  # it said READONLY
            await redis.set("key", "meanwhile")
        with pytest.raises(NotTheMaster):  # a new connection, that asked for its role
            await redis.get("key")
        node.ask("REPLICAOF", "NO", "ONE")

        assert demoted == "OK"
        assert await redis.get("key") == b"before"
        await redis.aclose()


async def test_while_no_sentinel_answers_services_wait_and_say_so(database_url: str, tmp_path: Path) -> None:
    node = redis_node(tmp_path / "node", "secret")
    sentinel = sentinel_node(tmp_path / "sentinel", "secret", {"assay": node}, quorum=2)
    url = url_through([sentinel], node)
    with running(node):
        services = [Service(name, database_url, url) for name in ("ingest", "worker", "api")]
        with ExitStack() as parts:
            for service in services:
                parts.callback(service.end)
                service.start(wait=False)
                await wait_until(partial(says_of_the_queue, service), what="/readyz")
            assert {says_of_the_queue(service) for service in services} == {
                "the queue can't be reached: NoSentinelAnswers"
            }
            with running(sentinel):
                for service in services:
                    await wait_until(partial(is_queue_well, service), what=service.name)


async def test_a_name_that_the_sentinels_do_not_know_is_told(tmp_path: Path) -> None:
    node = redis_node(tmp_path / "node", "secret")
    with running(node), watched(tmp_path, node) as url, ExitStack() as parts:
        ingest = Service("ingest", "", url.replace("/assay/", "/other/"))
        parts.callback(ingest.end)
        ingest.start(wait=False)

        await wait_until(lambda: says_of_the_queue(ingest), what="/readyz")

        assert says_of_the_queue(ingest) == "the queue can't be reached: NoSuchMaster"


def says_of_the_queue(service: Service) -> str:
    """Nothing while it does not listen yet."""
    try:
        parts: dict[str, str] = httpx.get(f"{service.url}/readyz", timeout=5).json()["parts"]
    except httpx.TransportError:
        return ""
    return parts["queue"]


def is_queue_well(service: Service) -> bool:
    return says_of_the_queue(service) == "ok"


@pytest.mark.parametrize(
    "command",
    [
        "services.ingest", "services.worker", "services.api", "services.api.setup", "services.worker.dead_letters list",
        "services.worker.run_now reconcile_keys",
    ],
)  # fmt: skip
async def test_an_address_that_is_none_is_refused_at_the_start_and_not_quoted(command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command.split(),
        cwd=ROOT, env={"DATABASE_URL": "postgresql://nobody", "REDIS_URL": "redis+sentinel://:hunter2@one,two"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()

    [said] = out.decode().splitlines()

    assert process.returncode == 1
    assert "REDIS_URL: expected redis://[user:password@]host" in said
    assert "hunter2" not in said


Send = Callable[[], Awaitable[list[str]]]


@asynccontextmanager
async def needing_a_replica(database_url: str, node: Node) -> AsyncIterator[Send]:
    """What five batches at once are answered: a status, or the code of a problem."""
    project = await make_project(database_url, node.url)
    settings = IngestSettings(redis_url=node.url, queue_replicas=1, redis_timeout_seconds=0.5)
    async with open_ingest(settings) as app, client_of(app) as ingest:

        async def send_one() -> str:
            answer = await ingest.post("/v1/scores", json={"scores": [a_score()]}, headers=project.headers)
            return str(answer.json().get("code", answer.status_code))

        async def send() -> list[str]:
            return await asyncio.gather(*(send_one() for _ in range(5)))

        yield send


async def test_too_few_replicas_are_a_503_and_nothing_is_acknowledged(database_url: str, tmp_path: Path) -> None:
    node = redis_node(tmp_path / "node", "secret")
    with running(node), capture_logs() as events:
        async with needing_a_replica(database_url, node) as send:
            alone = await send()
            with running(redis_node(tmp_path / "replica", "secret", node)):
                await wait_until(lambda: node.followers == 1, what="a replica")
                followed = await send()

    assert (alone, followed) == (["queue_unavailable"] * 5, ["202"] * 5)
    told = [event for event in events if event["event"] == "enqueue_not_replicated"]
    assert sum(event["entries"] for event in told) == 5
    assert {(event["replicas"], event["wanted"]) for event in told} == {(0, 1)}


async def test_a_redis_that_refuses_writes_without_replicas_is_a_503_at_once(database_url: str, tmp_path: Path) -> None:
    node = redis_node(tmp_path / "node", "secret")
    with running(node):
        async with needing_a_replica(database_url, node) as send:
            node.ask("CONFIG", "SET", "min-replicas-to-write", "1")

            assert await send() == ["queue_unavailable"] * 5

        assert node.ask("KEYS", "assay:scores:*") == []


async def test_with_replicas_a_full_redis_is_told_as_full(database_url: str, tmp_path: Path) -> None:
    node = redis_node(tmp_path / "node", "secret")
    replica = redis_node(tmp_path / "replica", "secret", node)
    with running(node, replica):
        await wait_until(lambda: node.followers == 1, what="a replica")
        async with needing_a_replica(database_url, node) as send:
            node.ask("CONFIG", "SET", "maxmemory", "1")

            assert await send() == ["queue_full"] * 5
