"""One score is followed from its sender's request through the logs of all services, by the request's id alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.system.processes import Service, first_start
from tests.waiting import wait_until

BATCHES = 100
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
RULE = {"name": "relevance", "data_type": "NUMERIC", "min_value": 0, "max_value": 1}


@dataclass
class Plant:
    """Three processes; the worker starts when the test says so."""

    ingest: Service
    worker: Service
    api: Service
    key: str

    def call(self, service: Service, method: str, path: str, request_id: str, **more: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "X-Request-Id": request_id, **more.pop("headers", {})}
        answer = httpx.request(method, service.url + path, headers=headers, timeout=30, **more)
        assert answer.is_success, answer.text
        assert answer.headers["X-Request-Id"] == request_id
        found: dict[str, Any] = answer.json()
        return found

    def send(self, number: int, value: float) -> str:
        score = {"id": f"s{number}", "trace_id": "t", "name": "relevance", "value": value}
        headers = {"traceparent": f"00-{TRACE}-{number + 1:016x}-01"}
        answer = self.call(
            self.ingest, "POST", "/v1/scores", f"sender-{number}", json={"scores": [score]}, headers=headers
        )
        batch_id: str = answer["batch_id"]
        return batch_id

    def persisted(self) -> int:
        return sum(line["event"] == "score_batch_persisted" for line in self.worker.logged())

    def lines_of(self, request_id: str) -> list[dict[str, Any]]:
        """What a search for the id finds in the logs of all services."""
        found = [line for service in (self.ingest, self.worker, self.api) for line in service.logged()]
        return [line for line in found if line.get("request_id") == request_id]


@contextmanager
def running_plant(database_url: str, redis_url: str, **settings: str) -> Iterator[Plant]:
    key = first_start(database_url, redis_url)["api_key"]
    worker = Service("worker", database_url, redis_url, settings)
    with (
        Service("ingest", database_url, redis_url, settings) as ingest,
        Service("api", database_url, redis_url, settings) as api,
    ):
        try:
            yield Plant(ingest, worker, api, key)
        finally:
            worker.end()


@pytest.fixture
def plant(database_url: str, redis_url: str) -> Iterator[Plant]:
    with running_plant(database_url, redis_url) as running:
        yield running


async def test_each_of_a_hundred_batches_has_its_line_in_every_service_it_went_through(plant: Plant) -> None:
    plant.call(plant.api, "POST", "/v1/score-configs", "rule-1", json=RULE)
    batch_ids = [plant.send(number, value=7 if number == 42 else 0.5) for number in range(BATCHES)]

    plant.worker.start()

    await wait_until(lambda: plant.persisted() == BATCHES, what="the line of each batch")
    for number, batch_id in enumerate(batch_ids):
        queued, persisted = plant.lines_of(f"sender-{number}")
        assert (queued["service"], queued["event"]) == ("ingest", "request_answered")
        assert (persisted["service"], persisted["event"]) == ("worker", "score_batch_persisted")
        assert queued["batch_id"] == persisted["batch_id"] == batch_id
        assert queued["trace_id"] == persisted["trace_id"] == TRACE
        assert (persisted["stored"], persisted["rejected"]) == ((0, 1) if number == 42 else (1, 0))


async def test_from_the_lines_the_way_leads_to_the_receipt_the_rejected_score_and_the_audit_log(plant: Plant) -> None:
    plant.call(plant.api, "POST", "/v1/score-configs", "rule-1", json=RULE)
    plant.send(1, value=7)
    plant.worker.start()

    [queued] = plant.lines_of("sender-1")
    receipt = plant.call(plant.api, "GET", f"/v1/batches/{queued['batch_id']}?wait=20", "reader-1")
    [rejected] = plant.call(plant.api, "GET", "/v1/rejected-scores", "reader-2")["items"]
    audited = plant.call(plant.api, "GET", "/v1/audit-log", "reader-3")["items"]

    assert (receipt["status"], receipt["rejected"]) == ("done", 1)
    assert (rejected["request_id"], rejected["score_id"]) == ("sender-1", "s1")
    assert [line["request_id"] for line in audited if line["action"] == "config_made"] == ["rule-1"]
    [made] = plant.lines_of("rule-1")
    assert (made["service"], made["status"]) == ("api", 201)
