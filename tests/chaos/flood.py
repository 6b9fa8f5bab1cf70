"""`python -m tests.chaos.flood`: one project sends a flood; how long does another's single score take to be readable?

Both projects share a shard. Exit code 1 if one of the single scores took longer than the limit of issue and docs, 2 s.
"""

import argparse
import asyncio
import sys
import time
from statistics import median
from typing import Any

import httpx

from shared.queue import stream_of
from tests.chaos.house import SHARDS, House
from tests.stack import Project, make_project
from tests.waiting import wait_until

LIMIT_SECONDS = 2.0
BATCH_SIZE = 1000
SENDERS = 4


async def neighbour_of(house: House, project: Project) -> Project:
    """Another project of the same shard."""
    for number in range(10_000):
        other = await make_project(house.postgres.url, house.redis.url, f"neighbour-{number}")
        if stream_of(other.id, SHARDS) == stream_of(project.id, SHARDS):
            return other
    raise AssertionError("no project in the same shard")


async def flood(ingest: str, project: Project, scores: int, taken: asyncio.Event) -> None:
    """`scores` in batches, repeated when the answer is 503; sets `taken` when all are accepted."""
    batch = [{"trace_id": "t", "name": "flood", "value": number / BATCH_SIZE} for number in range(BATCH_SIZE)]
    left = scores // BATCH_SIZE
    async with httpx.AsyncClient(base_url=ingest, headers=project.headers, timeout=60) as client:

        async def send() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                answer = await client.post("/v1/scores", json={"scores": batch})
                left += answer.status_code != 202

        await asyncio.gather(*(send() for _ in range(SENDERS)))
    taken.set()


async def single(client: httpx.AsyncClient, api: httpx.AsyncClient) -> float:
    """Seconds from the 202 of one score until its receipt is done."""
    answer = await client.post("/v1/scores", json={"scores": [{"trace_id": "t", "name": "single", "value": 1}]})
    assert answer.status_code == 202, answer.text
    started = time.monotonic()
    path = f"/v1/batches/{answer.json()['batch_id']}"

    async def is_done() -> bool:
        receipt: dict[str, Any] = (await api.get(path)).json()
        return bool(receipt["status"] == "done")

    await wait_until(is_done, patience_seconds=120)
    return time.monotonic() - started


async def measure(house: House, scores: int) -> tuple[list[float], int]:
    """The delays of the single scores beside the flood, and how much of the flood was still queued at the end."""
    flooding = await make_project(house.postgres.url, house.redis.url, "flooding")
    other = await neighbour_of(house, flooding)
    taken = asyncio.Event()
    delays: list[float] = []
    async with (
        httpx.AsyncClient(base_url=house.ingest_urls[0], headers=other.headers, timeout=60) as ingest,
        httpx.AsyncClient(base_url=house.api_url, headers=other.headers, timeout=60) as api,
    ):
        sending = asyncio.create_task(flood(house.ingest_urls[0], flooding, scores, taken))
        while not taken.is_set():
            delays.append(await single(ingest, api))
        delays += [await single(ingest, api) for _ in range(20)]
        await sending
        stored = (
            await api.get("/v1/scores/aggregate", headers=flooding.headers, params={"percentiles": "false"})
        ).json()
    return delays, scores - sum(item["count"] for item in stored["items"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.flood", description=__doc__)
    parser.add_argument("--scores", type=int, default=1_000_000)
    asked = parser.parse_args()
    with House(ingests=1, workers=1) as house:
        delays, queued = asyncio.run(measure(house, asked.scores))
    print(
        f"{len(delays)} single scores beside a flood of {asked.scores:,}: readable after {median(delays) * 1000:.0f} ms"
        f" (median), {max(delays) * 1000:.0f} ms (longest); still queued at the end: {queued:,} of the flood"
    )
    return 0 if max(delays) < LIMIT_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
