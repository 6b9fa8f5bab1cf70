"""What no worker can read or write is kept whole, told, held against completeness, and can be put back."""

import asyncio
import os
import sys
from typing import Any

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from services.worker.jobs import housekeeping
from shared import queue
from shared.dead_letters import bury, count
from shared.postgres import open_pool
from tests.builders import a_score
from tests.faults.house import MARKS, House, working
from tests.stack import make_project
from tests.system.processes import ROOT
from tests.waiting import wait_until

pytestmark = MARKS

SHARDS = 8


async def command(house: House, *arguments: str, exit_code: int = 0) -> str:
    """What `python -m services.worker.dead_letters` prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.worker.dead_letters", *arguments,
        cwd=ROOT, env={**os.environ, "DATABASE_URL": house.database_url, "REDIS_URL": house.redis_url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert (process.returncode, err) == (exit_code, b""), (out, err)
    return out.decode()


async def buried(house: House, *batch_ids: str) -> None:
    """As a worker buries what it can't write."""
    async with Redis.from_url(house.redis_url) as redis:
        for batch_id in batch_ids:
            entry = await queue.find(redis, batch_id)
            assert entry is not None
            await bury(redis, entry, "no reason")


async def sent(house: House, **score: object) -> str:
    answer = await house.send(a_score(**score))
    batch_id: str = answer.json()["batch_id"]
    return batch_id


async def sent_slow(house: House, score_id: str) -> str:
    """A score whose row takes PostgreSQL a second."""
    connection = await asyncpg.connect(house.database_url)
    await connection.execute(
        """
        CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END';
        CREATE OR REPLACE TRIGGER dawdle BEFORE INSERT ON scores
            FOR EACH ROW WHEN (NEW.metadata ? 'slow') EXECUTE FUNCTION dawdle();
        """
    )
    await connection.close()
    return await sent(house, id=score_id, metadata={"slow": True})


async def test_a_batch_that_always_takes_too_long_holds_up_nobody_and_can_be_put_back(house: House) -> None:
    slow = await sent_slow(house, "slow")
    quick = 0
    async with working(house, statement_timeout_ms=200):
        while not house.told("entry_buried"):
            await house.store(a_score(id=f"quick-{quick}"))
            quick += 1
        await house.has_counted("assay_worker_dead_letter_entries")

        assert "QueryCanceledError" in await command(house, "list")
        # It has more time than this worker had.
        assert await command(house, "retry") == f"{slow}: persisted\n1 persisted, 0 remain\n"

    assert (await house.receipt(slow))["stored"] == 1
    assert await command(house, "list") == "There are no dead letters.\n"
    await house.holds_exactly({"slow", *(f"quick-{number}" for number in range(quick))})


async def test_the_receipt_of_a_buried_batch_says_that_it_waits_for_an_operator(house: House) -> None:
    batch_id = await sent(house, id="s1")
    await buried(house, batch_id)
    stranger = await make_project(house.database_url, house.redis_url, "stranger")

    receipt = (await house.read(f"/v1/batches/{batch_id}")).json()
    foreign = await house.read(f"/v1/batches/{batch_id}", project=stranger)

    assert (receipt["status"], receipt["accepted"]) == ("pending", 1)
    assert "waits for an operator" in receipt["detail"]
    assert foreign.status_code == 404


async def test_a_dead_letter_holds_completeness_back(house: House) -> None:
    batch_id = await sent(house, id="s1")
    received_ms = int(batch_id.split("-")[0])
    await buried(house, batch_id)

    async def is_told() -> Any:
        await house.store(a_score(id="later"))
        return (await house.read("/v1/scores")).headers.get("Assay-Complete-Through")

    async with working(house):
        through = await wait_until(is_told)

    [told_ms] = await house.fetch("SELECT extract(epoch FROM $1::text::timestamptz) * 1000 AS ms", through)
    assert told_ms["ms"] < received_ms


async def test_a_dead_letter_keeps_its_place_among_the_writes(house: House) -> None:
    replaced, deleted = await sent(house, id="replaced", value=0.1), await sent(house, id="deleted")
    await buried(house, replaced, deleted)
    async with working(house):
        await house.store(a_score(id="replaced", value=0.2))
    await house.api.delete("/v1/scores/deleted", headers=house.project.headers)

    await command(house, "retry")

    assert [(await house.receipt(batch_id))["unchanged"] for batch_id in (replaced, deleted)] == [1, 1]
    assert (await house.read("/v1/scores/replaced")).json()["value"] == 0.2
    await house.holds_exactly({"replaced"})


async def test_what_is_asked_for_is_tried_or_dropped_and_nothing_else(house: House) -> None:
    first, second, third = [await sent(house, id=score_id) for score_id in ("first", "second", "third")]
    await buried(house, first, second, third)

    assert "0-0-0: no such dead letter" in await command(house, "retry", first, "0-0-0", exit_code=1)
    assert await command(house, "drop", second) == f"{second}: dropped\n"

    listed = await command(house, "list")
    assert (third in listed, first in listed, second in listed) == (True, False, False)
    assert (await house.read(f"/v1/batches/{second}")).status_code == 404
    await house.holds_exactly({"first"})


async def test_what_this_release_can_t_read_stays_and_says_why(house: House) -> None:
    data = msgspec.msgpack.encode({"v": 3, "project_id": str(house.project.id), "ids": ["a", "b"]})
    async with Redis.from_url(house.redis_url) as redis:
        await queue.ensure_groups(redis, SHARDS)
        entry_id = (await redis.xadd(queue.key_of(0), {queue.FIELD: data})).decode()
    batch_id = queue.batch_id_of(0, entry_id)
    await buried(house, batch_id)

    told = await command(house, "retry", exit_code=1)

    assert told == f"{batch_id}: envelope version 3, this release reads 1 and 2\n0 persisted, 1 remain\n"
    assert (await house.read(f"/v1/batches/{batch_id}")).json()["accepted"] == 2


async def test_an_entry_with_no_envelope_at_all_is_buried_too(house: House) -> None:
    async with Redis.from_url(house.redis_url) as redis:
        await queue.ensure_groups(redis, SHARDS)
        await redis.xadd(queue.key_of(0), {b"other": b"field"})
        async with working(house):
            await house.is_told("entry_buried")
            receipt = await house.store(a_score(id="after"))
        assert (await count(redis), receipt["stored"]) == (1, 1)
    await house.holds_exactly({"after"})


async def test_what_a_full_redis_does_not_let_us_bury_stays_in_the_queue(house: House) -> None:
    slow = await sent_slow(house, "slow")
    others = [await sent(house, id=f"quick-{number}") for number in range(3)]
    async with Redis.from_url(house.redis_url) as redis:
        await queue.ensure_groups(redis, SHARDS)
        await redis.config_set("maxmemory", "1")
        async with working(house, statement_timeout_ms=200):
            await wait_until(lambda: any(one.get("step") == "bury" for one in house.told("step_tried_again")))
            pending = (await house.read(f"/v1/batches/{slow}")).json()
            await redis.config_set("maxmemory", "0")
            while not house.told("entry_buried"):  # it is given up when others are persisted meanwhile
                await house.store(a_score(id="quick-0"))

    assert pending["status"] == "pending"
    assert [(await house.receipt(batch_id))["stored"] for batch_id in others] == [1, 1, 1]
    assert f"{slow}: persisted" in await command(house, "retry")
    await house.holds_exactly({"slow", *(f"quick-{number}" for number in range(3))})


async def test_a_tombstone_stays_when_a_copy_of_its_score_is_buried_meanwhile(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = await sent(house, id="deleted")
    await house.api.delete("/v1/scores/deleted", headers=house.project.headers)
    await house.fetch("UPDATE score_tombstones SET deleted_at = now() - interval '2 hours' RETURNING 1")
    look = queue.oldest_version

    async def bury_first(*arguments: Any) -> int:
        await buried(house, queued)
        return await look(*arguments)

    monkeypatch.setattr(housekeeping, "oldest_version", bury_first)
    pool = await open_pool(house.database_url, size_max=1, statement_timeout_ms=10_000, name="test")
    async with Redis.from_url(house.redis_url) as redis:
        forgotten = await housekeeping.forget_tombstones(pool, redis, SHARDS)
    await pool.close()

    await command(house, "retry")
    assert forgotten == 0
    assert (await house.read("/v1/scores/deleted")).status_code == 404
