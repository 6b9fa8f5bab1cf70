"""Send the real data set to ingest and wait until every score of it is accounted for."""

import asyncio
import gzip
import json
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.leaks import WATCH
from tests.waiting import wait_until

BATCH_SIZE = 100
PENDING_AT_ONCE = 20


def read_scores(folder: Path, file: str = "scores.jsonl.gz", *, with_ids: bool = False) -> list[dict[str, Any]]:
    """The rows of the file; with ids made from the line numbers, so that sending them again doubles nothing."""
    rows = gzip.decompress((folder / file).read_bytes()).decode().split("\n")
    scores = [json.loads(row) for row in rows if row]
    if with_ids:
        for number, score in enumerate(scores, start=1):
            score["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"main:{number}"))
    return scores


async def create_configs(folder: Path, api_url: str, key: str) -> None:
    async with httpx.AsyncClient(base_url=api_url, headers={"Authorization": f"Bearer {key}"}) as api:
        for config in json.loads((folder / "score_configs.json").read_text())["configs"]:
            body = {"name": config["name"], "data_type": config["data_type"], "description": config["description"]}
            if config["data_type"] == "NUMERIC":
                body |= {"min_value": config.get("min"), "max_value": config.get("max")}
            if config["data_type"] == "CATEGORICAL":
                body |= {"categories": config["categories"]}
            answer = await api.post("/v1/score-configs", json=body)
            assert answer.status_code == 201, answer.text


async def send_all(
    scores: Sequence[dict[str, Any]], ingest_url: str, key: str
) -> tuple[list[str], list[dict[str, Any]]]:
    """Send in batches over one connection; the batch ids, and the items that ingest refused."""
    WATCH.remember(scores[:200])
    batch_ids: list[str] = []
    refused: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=ingest_url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as ingest:
        for start in range(0, len(scores), BATCH_SIZE):
            answer = await ingest.post("/v1/scores", json={"scores": scores[start : start + BATCH_SIZE]})
            assert answer.status_code in (202, 207), answer.text
            body = answer.json()
            batch_ids.append(body["batch_id"])
            refused += body["errors"]
    return batch_ids, refused


async def send_by_senders(shares: Sequence[Sequence[dict[str, Any]]], ingest_url: str, key: str) -> list[str]:
    """Each share by a sender of its own, all at once; the batch ids."""
    sent = await asyncio.gather(*(send_all(share, ingest_url, key) for share in shares))
    return [batch_id for batch_ids, _ in sent for batch_id in batch_ids]


def shuffled_shares(scores: Sequence[dict[str, Any]], shares: int, seed: int) -> list[list[dict[str, Any]]]:
    mixed = list(scores)
    random.Random(seed).shuffle(mixed)
    return [mixed[share::shares] for share in range(shares)]


async def sum_of_receipts(batch_ids: Sequence[str], api_url: str, key: str) -> Counter[str]:
    """What became of all scores of the batches, once every one is done."""
    total: Counter[str] = Counter()
    at_once = asyncio.Semaphore(PENDING_AT_ONCE)
    async with httpx.AsyncClient(base_url=api_url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as api:

        async def count(batch_id: str) -> None:
            async with at_once:
                receipt = await wait_until(lambda: _done_receipt(api, batch_id), patience_seconds=120)
            assert receipt is not None
            total.update({name: receipt[name] for name in ("stored", "replaced", "unchanged", "rejected")})

        await asyncio.gather(*map(count, batch_ids))
    return total


async def _done_receipt(api: httpx.AsyncClient, batch_id: str) -> dict[str, Any] | None:
    answer = await api.get(f"/v1/batches/{batch_id}")
    assert answer.status_code == 200, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt if receipt["status"] == "done" else None
