"""Ingest, worker and api as processes, and their logs searched together, as an operator would."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.system.processes import Service, first_start


@dataclass
class Plant:
    """Ingest runs; worker and api start when the test says so."""

    ingest: Service
    worker: Service
    api: Service
    key: str

    @property
    def services(self) -> tuple[Service, ...]:
        return self.ingest, self.worker, self.api

    def ask(
        self, service: Service, method: str, path: str, request_id: str, body: object = None, **headers: str
    ) -> httpx.Response:
        said = {"Authorization": f"Bearer {self.key}", "X-Request-Id": request_id, **headers}
        answer = httpx.request(method, service.url + path, headers=said, json=body, timeout=30)
        assert answer.headers["X-Request-Id"] == request_id
        return answer

    def call(self, service: Service, method: str, path: str, request_id: str, body: object = None) -> dict[str, Any]:
        answer = self.ask(service, method, path, request_id, body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def send(self, request_id: str, *scores: dict[str, Any], **headers: str) -> str:
        """The batch id."""
        answer = self.ask(self.ingest, "POST", "/v1/scores", request_id, {"scores": scores}, **headers)
        assert answer.status_code == 202, answer.text
        batch_id: str = answer.json()["batch_id"]
        return batch_id

    def persisted(self) -> int:
        """How many batches the worker says it has written."""
        return sum(line["event"] == "score_batch_persisted" for line in self.worker.logged())

    def lines_of(self, request_id: str) -> list[dict[str, Any]]:
        """What a search for the id finds in the logs of all services that have run."""
        found = [line for service in self.services if service.log.exists() for line in service.logged()]
        return [line for line in found if line.get("request_id") == request_id]


@contextmanager
def running_plant(database_url: str, redis_url: str, **settings: Mapping[str, str]) -> Iterator[Plant]:
    """`settings` by the service's name."""
    key = first_start(database_url, redis_url)["api_key"]
    made = {
        name: Service(name, database_url, redis_url, dict(settings.get(name, {})))
        for name in ("ingest", "worker", "api")
    }
    try:
        yield Plant(made["ingest"].start(), made["worker"], made["api"], key)
    finally:
        for service in made.values():
            service.end()
