"""150,032 real scores in and out: what the api answers equals the true aggregates, however they were sent."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from math import isclose
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.redis import EmbeddedRedis
from tests.conftest import url_of
from tests.system.loading import (
    create_configs,
    read_scores,
    send_all,
    send_by_senders,
    shuffled_shares,
    sum_of_receipts,
)
from tests.system.processes import Service, first_start

pytestmark = [pytest.mark.real_data, pytest.mark.xdist_group("real_data")]

RELATIVE_ERROR = 1e-9
LAST_DAY = "2025-01-01T00:00:00Z"  # rows without a timestamp come after it: they were made when they were received


@dataclass
class Loaded:
    """An api over the loaded data."""

    api: httpx.Client
    receipts: dict[str, int]

    def items(self, path: str, **params: Any) -> list[dict[str, Any]]:
        answer = self.api.get(path, params=params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


@pytest.fixture(scope="module", params=["sent once", "sent twice with ids, shuffled, by 4 senders, to 3 workers"])
def loaded(
    request: pytest.FixtureRequest,
    real_data: Path,
    postgres: EmbeddedPostgres,
    template_database: str,
    redis_server: EmbeddedRedis,
) -> Iterator[Loaded]:
    name = f"real_{uuid.uuid4().hex}"
    asyncio.run(_execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template_database}"))
    database_url, redis_url = url_of(postgres, name), redis_server.url
    key = first_start(database_url, redis_url)["api_key"]
    once = request.param == "sent once"
    with Service("api", database_url, redis_url) as api:
        with ExitStack() as intake:
            ingest = intake.enter_context(Service("ingest", database_url, redis_url))
            for _ in range(1 if once else 3):
                intake.enter_context(Service("worker", database_url, redis_url))
            asyncio.run(create_configs(real_data, api.url, key))
            receipts = asyncio.run((_load_once if once else _load_twice)(real_data, ingest.url, api.url, key))
        with httpx.Client(base_url=api.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
            yield Loaded(client, receipts)
    asyncio.run(_execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _load_once(folder: Path, ingest_url: str, api_url: str, key: str) -> dict[str, int]:
    batch_ids, refused = await send_all(read_scores(folder), ingest_url, key)
    assert refused == []
    return await sum_of_receipts(batch_ids, api_url, key)


async def _load_twice(folder: Path, ingest_url: str, api_url: str, key: str) -> dict[str, int]:
    scores = read_scores(folder, with_ids=True)
    shares = [*shuffled_shares(scores, 2, seed=1), *shuffled_shares(scores, 2, seed=2)]
    return await sum_of_receipts(await send_by_senders(shares, ingest_url, key), api_url, key)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="module")
def truth(real_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((real_data / "truth.json").read_text())
    return found


def assert_equal(found: dict[str, Any], true: dict[str, Any], what: str) -> None:
    """Every statistic that `true` has, to a relative error of 1e-9."""
    assert found["count"] == true["count"], what
    for name, true_name in (
        ("avg", "mean"), ("min", "min"), ("max", "max"), ("std_dev", "stddev_samp"),
        ("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("true_rate", "true_rate"),
    ):  # fmt: skip
        if true_name not in true:
            continue
        if true[true_name] is None:
            assert found[name] is None, f"{what}: {name}"
        else:
            assert isclose(found[name], true[true_name], rel_tol=RELATIVE_ERROR), f"{what}: {name}"
    for name, true_name in (("true_count", "true"), ("false_count", "false"), ("distribution", "categories")):
        if true_name in true:
            assert found[name] == true[true_name], f"{what}: {name}"


def test_every_score_is_accounted_for(loaded: Loaded, truth: dict[str, Any]) -> None:
    stored, sent = loaded.receipts["stored"], sum(loaded.receipts.values())

    assert stored == truth["totals"]["scores"] == 150_032
    assert loaded.receipts["rejected"] == 0
    assert sent in (150_032, 300_064)


def test_the_aggregate_of_every_name_is_the_true_one(loaded: Loaded, truth: dict[str, Any]) -> None:
    found = {item["name"]: item for item in loaded.items("/v1/scores/aggregate")}

    assert found.keys() == truth["per_name"].keys()
    assert len(found) == 27
    for name, true in truth["per_name"].items():
        assert found[name]["data_type"] == true["data_type"]
        assert_equal(found[name], true, name)


def test_the_trend_of_every_name_is_true_on_every_utc_day(loaded: Loaded, truth: dict[str, Any]) -> None:
    days = {(name, day) for name, by_day in truth["per_name_day"].items() for day in by_day}
    names = sorted(truth["per_name_day"])
    series = loaded.items(
        "/v1/scores/trends", name=names, granularity="day", **{"from": "2024-08-01T00:00:00Z", "to": LAST_DAY}
    )
    seen = set()
    for one in series:
        for bucket in one["buckets"]:
            if bucket["count"]:
                day = bucket["start"][:10]
                assert_equal(bucket, truth["per_name_day"][one["name"]][day], f"{one['name']} on {day}")
                seen.add((one["name"], day))

    assert seen == days


def test_the_aggregate_of_every_name_and_system_is_the_true_one(loaded: Loaded, truth: dict[str, Any]) -> None:
    found = {
        (item["name"], item["group"]["metadata.system"]): item
        for item in loaded.items("/v1/scores/aggregate", group_by="metadata.system")
        if item["group"]["metadata.system"] is not None
    }

    assert found.keys() == {(name, system) for name, systems in truth["per_name_system"].items() for system in systems}
    for (name, system), item in found.items():
        assert_equal(item, truth["per_name_system"][name][system], f"{name} of {system}")


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_paging_through_all_scores_yields_each_once_and_in_order(loaded: Loaded, order: str) -> None:
    positions: list[tuple[datetime, str]] = []
    cursor: str | None = None
    while cursor is not None or not positions:
        params: dict[str, str] = {"limit": "1000", "order": order} | ({"cursor": cursor} if cursor else {})
        page = loaded.api.get("/v1/scores", params=params).json()
        positions += [(datetime.fromisoformat(item["scored_at"]), item["id"]) for item in page["items"]]
        cursor = page["next_cursor"]

    assert len({score_id for _, score_id in positions}) == len(positions) == 150_032
    assert positions == sorted(positions, reverse=order == "desc")


async def test_invalid_values_are_refused_or_rejected_each_with_its_reason(
    database_url: str, redis_url: str, real_data: Path
) -> None:
    key = first_start(database_url, redis_url)["api_key"]
    with (
        Service("api", database_url, redis_url) as api,
        Service("ingest", database_url, redis_url) as ingest,
        Service("worker", database_url, redis_url),
    ):
        await create_configs(real_data, api.url, key)
        batch_ids, refused = await send_all(read_scores(real_data, "invalid.jsonl.gz"), ingest.url, key)
        receipts = await sum_of_receipts(batch_ids, api.url, key)
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as client:
            answer = await client.get(f"{api.url}/v1/rejected-scores")

    assert [item["code"] for item in refused] == ["null_value"] * 5
    assert [item["code"] for item in answer.json()["items"]] == ["unknown_category"] * 11
    assert (receipts["stored"], receipts["rejected"]) == (0, 11)
