"""The short form of `python -m bench.sdk`: ingest is killed and started again, and every score is stored once."""

import asyncio
import threading
from functools import partial

from assay import Client

from tests.sdk.conftest import House
from tests.waiting import wait_until

THREADS = 8
EACH = 2500
KILLS = 3


def score_many(client: Client, ids: list[str]) -> None:
    ids.extend(client.score("relevance", number / EACH, trace_id=f"t{number % 100}") for number in range(EACH))


def has_sent(client: Client, count: int) -> bool:
    return client.counters().sent >= count


async def test_every_score_is_stored_once_while_ingest_is_killed_and_started(house: House) -> None:
    client = house.client(batch_size=100)
    ids: list[str] = []
    threads = [threading.Thread(target=score_many, args=(client, ids)) for _ in range(THREADS)]

    for thread in threads:
        thread.start()
    for kill in range(1, KILLS + 1):
        after = kill * THREADS * EACH // (KILLS + 1)
        await wait_until(partial(has_sent, client, after))
        house.ingest.kill()
        house.ingest.start()
    for thread in threads:
        thread.join()
    flushed = await asyncio.to_thread(client.flush, 60)
    await wait_until(lambda: client.aggregate(percentiles=False)[0]["count"] == len(ids))
    stored = [score["id"] for score in client.scores()]
    counted = client.counters()
    client.shutdown()

    assert flushed
    assert sorted(stored) == sorted(ids)
    assert len(set(ids)) == THREADS * EACH
    assert (counted.sent, counted.dropped, counted.rejected) == (THREADS * EACH, 0, 0)
    assert counted.retried > 0


async def test_a_worker_and_an_ingest_that_stop_in_turn_lose_nothing(house: House) -> None:
    with house.client(batch_size=50) as client:
        ids = [client.score("relevance", 0.5, trace_id="t1") for _ in range(500)]
        house.worker.kill()
        ids += [client.score("relevance", 0.5, trace_id="t1") for _ in range(500)]
        house.ingest.stop()
        ids += [client.score("relevance", 0.5, trace_id="t1") for _ in range(500)]
        house.worker.start()
        house.ingest.start()

        assert await asyncio.to_thread(client.flush, 60)
        await wait_until(lambda: sum(item["count"] for item in client.aggregate(percentiles=False)) == len(ids))
        assert {score["id"] for score in client.scores()} == set(ids)
