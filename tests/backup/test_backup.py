"""After the loss of a server, all is there that the backup or the queue held; what is not, is told by name."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.site import BATCH_SIZE, Sender, Site
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("chaos")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The one that will be lost."""
    with Site(tmp_path / "site") as opened:
        yield opened


@pytest.fixture
async def sender(site: Site) -> Sender:
    await site.migrate()
    return Sender(site.start("ingest"), await site.make_projects())


async def test_after_the_loss_of_postgresql_all_is_there_that_the_dump_or_the_queue_held(
    site: Site, sender: Sender, tmp_path: Path
) -> None:
    worker, dump = site.start("worker"), tmp_path / "assay.dump"
    async with sender.sending():
        await sender.has_sent(30)
        before = await site.persisted()
        await site.dump(dump)
        await sender.has_sent(30)
        worker.stop()
        await sender.has_sent(10)
    queued, persisted = site.queued(), await site.persisted()
    site.postgres.process.kill()

    with Site(tmp_path / "restored", site.redis) as restored:
        await restored.restore(dump)
        await restored.migrate()
        in_dump = await restored.persisted()
        restored.start("worker")
        await restored.drained()

        lost = sender.acknowledged.keys() - in_dump - queued
        assert before <= in_dump
        assert lost == persisted - in_dump  # persisted after the dump had begun, and so gone from the queue
        assert lost
        assert queued
        assert await restored.scores() == sender.scores_of(in_dump | queued)
        assert restored.command("services.worker.rollups", "verify") == "2 projects, 0 buckets differ\n"
        api = restored.start("api").url
        assert {_receipt(sender, api, batch_id) for batch_id in in_dump | queued} == {("done", BATCH_SIZE)}
        assert {_receipt(sender, api, batch_id) for batch_id in lost} == {("not_found", None)}


async def test_a_queue_that_is_restored_to_an_earlier_time_doubles_nothing(
    site: Site, sender: Sender, tmp_path: Path
) -> None:
    worker, dump, queue = site.start("worker"), tmp_path / "assay.dump", tmp_path / "queue"
    async with sender.sending():
        await sender.has_sent(20)
        worker.stop()
        await sender.has_sent(20)
        early = site.queued()
        site.copy_queue(queue)
        worker.start()
        await wait_until(lambda: not early & site.queued(), what="the early batches", patience_seconds=120)
        await site.dump(dump)
        await sender.has_sent(10)
    site.postgres.process.kill()
    site.redis.process.kill()

    restored = Site(tmp_path / "restored")
    restored.put_queue(queue)
    with restored:
        await restored.restore(dump)
        await restored.migrate()
        in_dump, again = await restored.persisted(), restored.queued()
        assert early <= in_dump & again
        worker = restored.start("worker")
        await restored.drained()

        assert await restored.scores() == sender.scores_of(in_dump | again)
        [stored] = await restored.fetch("SELECT sum(stored)::int FROM batches")
        assert stored["sum"] == len(await restored.scores())
        assert sum(event.get("already_persisted", 0) for event in worker.logged()) == len(in_dump & again)
        assert restored.command("services.worker.rollups", "verify") == "2 projects, 0 buckets differ\n"


def _receipt(sender: Sender, api: str, batch_id: str) -> tuple[str, int | None]:
    """What became of it, and how many are stored; else the code of the refusal."""
    answer = httpx.get(f"{api}/v1/batches/{batch_id}", headers=sender.project_of[batch_id].headers, timeout=30)
    told = answer.json()
    return (told["status"], told["stored"]) if answer.status_code == 200 else (told["code"], None)
