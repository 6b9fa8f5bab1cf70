"""The pages of metrics hold what the registers say, and nobody can make them grow."""

import string

import httpx
import pytest
from redis.asyncio import Redis

from services.api.app import ENDPOINTS as API_ENDPOINTS
from services.api.metrics import ApiMetrics
from services.ingest.metrics import IngestMetrics
from services.worker.metrics import WorkerMetrics
from shared import queue
from shared.metrics import HttpMetrics, Register
from tests.builders import a_numeric_config, a_score
from tests.monitoring.pages import a_worker, samples, value
from tests.stack import Stack
from tests.waiting import wait_until


def unregistered(names: set[str], register: Register) -> set[str]:
    """But for what the client library says of every process."""
    series = {name for metric in register.metrics for name in metric.series}
    return {name for name in names - series if not name.startswith("process_")}


async def has_counted(page: httpx.AsyncClient, name: str, at_least: float = 1) -> None:
    async def counted() -> bool:
        return (value(await samples(page), name) or 0) >= at_least

    await wait_until(counted, what=f"{name} ≥ {at_least}")


async def test_the_pages_hold_what_is_registered_and_nothing_else(idle_stack: Stack) -> None:
    async with a_worker(idle_stack, worker_roles="persist,jobs") as worker:
        await idle_stack.store(a_score())
        pages = [
            (idle_stack.ingest, IngestMetrics().register),
            (idle_stack.api, ApiMetrics().register),
            (worker, WorkerMetrics().register),
        ]
        for client, register in pages:
            found = {sample.name for sample in await samples(client)}
            assert unregistered(found, register) == set()


async def test_what_became_of_scores_is_counted(idle_stack: Stack) -> None:
    async with a_worker(idle_stack) as page:
        await idle_stack.post("/v1/score-configs", a_numeric_config())
        await idle_stack.store(a_score(id="s1"), a_score(value=7), a_score(name=" "))
        await idle_stack.store(a_score(id="s1"))
        await has_counted(page, "assay_worker_scores_total", at_least=3)  # told after the commit
        ingest, worker = await samples(idle_stack.ingest), await samples(page)

    outcomes = {
        outcome: value(worker, "assay_worker_scores_total", outcome=outcome)
        for outcome in ("stored", "replaced", "unchanged", "rejected")
    }
    assert outcomes == {"stored": 1, "replaced": 1, "unchanged": 0, "rejected": 1}
    assert value(worker, "assay_worker_scores_rejected_total", code="above_maximum") == 1
    assert value(ingest, "assay_ingest_scores_accepted_total") == 3
    assert value(ingest, "assay_ingest_scores_refused_total", code="invalid_name") == 1


async def test_requests_and_their_time_are_counted_by_route_and_status(idle_stack: Stack) -> None:
    await idle_stack.send(a_score(), a_score(name=" "))
    await idle_stack.read("/v1/scores/nothing")

    ingest, api = await samples(idle_stack.ingest), await samples(idle_stack.api)

    one = {"method": "POST", "route": "/v1/scores", "status": "207"}
    assert value(ingest, "assay_ingest_http_requests_total", **one) == 1
    assert value(ingest, "assay_ingest_http_request_seconds_count", **one) == 1
    other = {"method": "GET", "route": "/v1/scores/{id:id}", "status": "404"}
    assert value(api, "assay_api_http_requests_total", **other) == 1
    assert value(api, "assay_api_http_request_seconds_count", **other) == 1


async def test_a_batch_is_measured_on_all_of_its_way(idle_stack: Stack) -> None:
    async with a_worker(idle_stack) as page:
        await idle_stack.store(*(a_score() for _ in range(7)))
        await has_counted(page, "assay_worker_visible_seconds_count")  # told after the commit
        ingest, worker = await samples(idle_stack.ingest), await samples(page)

    assert value(ingest, "assay_ingest_batch_scores_sum") == 7
    assert value(ingest, "assay_ingest_enqueue_seconds_count") == 1
    assert value(ingest, "assay_ingest_commit_seconds_count") == 1
    assert value(ingest, "assay_ingest_commit_entries_sum") == 1
    assert value(worker, "assay_worker_transaction_scores_sum") == 7
    assert value(worker, "assay_worker_transaction_seconds_count", way="straight") == 1
    assert value(worker, "assay_worker_commit_seconds_count") == 1
    assert value(worker, "assay_worker_visible_seconds_count") == 1
    assert value(worker, "assay_worker_config_cache_total", result="miss") == 1


async def test_the_queue_is_told_by_stream(idle_stack: Stack) -> None:
    await idle_stack.send(a_score())
    label = queue.label_of(queue.stream_of(idle_stack.project.id, 8))

    async def told() -> bool:
        found = await samples(idle_stack.ingest)
        return (
            value(found, "assay_ingest_queue_entries") == value(found, "assay_ingest_queue_entries", stream=label) == 1
            and (value(found, "assay_ingest_queue_oldest_seconds", stream=label) or 0) > 0
            and (value(found, "assay_ingest_queue_bytes", stream=label) or 0) > 0
            and (value(found, "assay_ingest_queue_used_ratio", stream=label) or 0) > 0
        )

    await wait_until(told)


async def test_dead_letters_are_told_by_stream(idle_stack: Stack) -> None:
    names = ("assay_worker_dead_letters_total", "assay_worker_dead_letter_entries")
    async with Redis.from_url(idle_stack.redis_url) as redis:
        await queue.ensure_groups(redis, 8)
        for stream in (3, 3, 6):
            await redis.xadd(queue.key_of(stream), {queue.FIELD: b"no envelope"})

    async with a_worker(idle_stack) as page:
        for name in names:
            await has_counted(page, name, at_least=3)
        found = await samples(page)

    for name in names:
        assert value(found, name, stream="1-bulk") == 2
        assert value(found, name, stream="3") == 1


async def test_the_use_of_connections_is_told(idle_stack: Stack) -> None:
    async with a_worker(idle_stack) as page:
        await idle_stack.store(a_score())
        await idle_stack.read("/v1/scores")
        api, worker = await samples(idle_stack.api), await samples(page)

    assert value(api, "assay_api_pool_limit_connections", pool="api") == 10
    assert (value(api, "assay_api_pool_connections", pool="api") or 0) >= 1
    assert (value(api, "assay_api_pool_wait_seconds_count") or 0) >= 1
    assert value(worker, "assay_worker_pool_limit_connections", pool="worker") == 6
    assert (value(worker, "assay_worker_pool_connections", pool="worker") or 0) >= 1
    assert value(worker, "assay_worker_pool_limit_connections", pool="jobs") == 5


async def test_when_a_schedule_last_succeeded_is_told_by_a_worker_that_runs_none(idle_stack: Stack) -> None:
    async def told(page: httpx.AsyncClient) -> float | None:
        name = "assay_worker_schedule_success_timestamp_seconds"
        return value(await samples(page), name, schedule="reconcile_keys")

    async with a_worker(idle_stack, worker_roles="jobs") as page:
        await has_counted(page, "assay_worker_schedule_runs_total")
        last = await wait_until(lambda: told(page))

    async with a_worker(idle_stack) as page:
        assert (await wait_until(lambda: told(page)) or 0) >= (last or 0)
        found = await samples(page)
    assert value(found, "assay_worker_schedule_interval_seconds", schedule="reconcile_keys") == 5


@pytest.mark.parametrize("what", ["method", "path"])
async def test_whoever_makes_things_up_adds_no_series(stack: Stack, what: str) -> None:
    async def send(client: httpx.AsyncClient, word: str) -> None:
        method, path = (word, "/v1/scores") if what == "method" else ("GET", f"/{word}/{word}")
        await client.request(method, path, headers=stack.project.headers)

    for client in (stack.ingest, stack.api):
        await send(client, "ONCE")
        await client.get("/metrics")
        before = len(await samples(client))
        for letter in string.ascii_uppercase:
            await send(client, f"{letter}{letter}")
        assert len(await samples(client)) == before


def test_a_failure_that_has_not_happened_yet_is_counted_as_0() -> None:
    """A series that begins with its first event shows no increase of it."""
    metrics = HttpMetrics("api")
    metrics.expect_failures((endpoint.method, endpoint.path) for endpoint in API_ENDPOINTS)

    page = metrics.register.exposition().decode()

    for endpoint in API_ENDPOINTS:
        labels = f'method="{endpoint.method}",route="{endpoint.path}"'
        assert f'assay_api_http_requests_total{{{labels},status="500"}} 0.0' in page
