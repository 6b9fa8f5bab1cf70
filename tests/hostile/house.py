"""Ingest, worker and api as processes, with short times, and a key. Imports nothing of the product."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.leaks import WATCH
from tests.system.processes import Service, first_start

SHORT_TIMES = {"ASSAY_HEAD_SECONDS": "1", "ASSAY_BODY_SECONDS": "1"}


@dataclass(frozen=True)
class House:
    ingest: Service
    worker: Service
    api: Service
    key: str

    @property
    def services(self) -> tuple[Service, ...]:
        return self.ingest, self.worker, self.api

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def send(self, *scores: dict[str, Any], **headers: str) -> httpx.Response:
        WATCH.remember(scores)
        return httpx.post(
            f"{self.ingest.url}/v1/scores", json={"scores": scores}, headers=self.authorization | headers, timeout=30
        )

    def read(self, path: str, **params: Any) -> httpx.Response:
        return httpx.get(f"{self.api.url}{path}", params=params, headers=self.authorization, timeout=60)


@contextmanager
def open_house(database_url: str, redis_url: str, **settings: str) -> Iterator[House]:
    made = first_start(database_url, redis_url)
    with ExitStack() as parts:
        ingest, worker, api = (
            parts.enter_context(Service(name, database_url, redis_url, settings))
            for name in ("ingest", "worker", "api")
        )
        yield House(ingest, worker, api, made["api_key"])
