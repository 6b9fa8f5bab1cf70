"""Each service is scaled alone, under load, while the others stand still. No times: those are for `make scaling`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.worker.jobs.verify_rollups import verify_rollups
from shared.postgres import open_pool
from tests.scaling.fill import fill
from tests.site import BATCH_SIZE, Sender, Site
from tests.stack import Project
from tests.system.processes import Service
from tests.waiting import wait_until

BACKLOG = 20_000
SHARDS = 8
PROJECTS = 16
PATIENCE_SECONDS = 120

pytestmark = pytest.mark.xdist_group("chaos")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path / "site") as opened:
        yield opened


async def persisted_all(site: Site, batches: set[str]) -> None:
    async def is_persisted() -> bool:
        return batches <= await site.persisted()

    await wait_until(is_persisted, what="the batches", patience_seconds=PATIENCE_SECONDS)


async def holds_exactly(site: Site, filled: list[dict[str, list[str]]], sender: Sender) -> None:
    """Every score of the backlogs and of the sender is there, once, and nothing else."""
    await site.drained()
    of_backlogs = {score_id for backlog in filled for ids in backlog.values() for score_id in ids}
    assert await site.scores() == of_backlogs | sender.scores_of(set(sender.acknowledged))
    pool = await open_pool(site.postgres.url, size_max=1, statement_timeout_ms=300_000, name="scaling")
    assert await verify_rollups(pool) == []
    await pool.close()


async def test_one_two_and_four_workers_empty_a_backlog_while_ingest_and_api_stand_still(site: Site) -> None:
    await site.migrate()
    projects = await site.make_projects(PROJECTS)
    standing = [site.start("ingest"), site.start("api")]
    sender, filled = Sender(standing[0], projects), []

    async with sender.sending():
        for number in (1, 2, 4):
            backlog = fill(site.redis.url, [project.id for project in projects], BACKLOG, SHARDS)
            filled.append(backlog)
            workers = [site.start("worker") for _ in range(number)]
            await persisted_all(site, set(backlog))
            assert [worker.stop() for worker in workers] == [0] * number
            await sender.has_sent(1)
    assert [one.exit_code() for one in standing] == [None, None]
    last = site.start("worker")

    await holds_exactly(site, filled, sender)
    assert last.exit_code() is None


async def test_ingests_and_apis_are_added_while_the_worker_stands_still(site: Site) -> None:
    await site.migrate()
    projects = await site.make_projects()
    worker, ingests, apis, acknowledged = site.start("worker"), list[Service](), list[Service](), 0

    for number in (1, 2, 4):
        ingests += [site.start("ingest") for _ in range(number - len(ingests))]
        apis += [site.start("api") for _ in range(number - len(apis))]
        senders = [Sender(ingest, projects, name=f"{number}-{place}") for place, ingest in enumerate(ingests)]
        await asyncio.gather(*(sent(sender, 5) for sender in senders))
        acknowledged += sum(len(sender.acknowledged) * BATCH_SIZE for sender in senders)
        await site.drained()
        assert [scores_of(api, projects) for api in apis] == [acknowledged] * number
    assert worker.exit_code() is None


async def sent(sender: Sender, batches: int) -> None:
    async with sender.sending():
        await sender.has_sent(batches)


def scores_of(api: Service, projects: list[Project]) -> int:
    """How many scores that api counts."""
    return sum(
        item["count"]
        for project in projects
        for item in httpx.get(f"{api.url}/v1/scores/aggregate", headers=project.headers, timeout=30).json()["items"]
    )
