"""A house of real processes, and the SDK to talk to it with."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SDK = Path(__file__).resolve().parents[2] / "sdk" / "python"
sys.path.insert(0, str(SDK / "src"))

from assay import Client  # noqa: E402

from tests.system.processes import Service, first_start  # noqa: E402


@dataclass
class House:
    """Ingest, worker and api on a database of their own, and the key of its first project."""

    ingest: Service
    worker: Service
    api: Service
    key: str

    def client(self, **settings: Any) -> Client:
        return Client(**{**self.access, **settings})

    @property
    def access(self) -> dict[str, str]:
        return {"api_key": self.key, "ingest_url": self.ingest.url, "api_url": self.api.url}

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to know of it."""
        return {f"ASSAY_{name.upper()}": text for name, text in self.access.items()}


@pytest.fixture
def house(database_url: str, redis_url: str) -> Iterator[House]:
    key = first_start(database_url, redis_url)["api_key"]
    with (
        Service("api", database_url, redis_url) as api,
        Service("ingest", database_url, redis_url) as ingest,
        Service("worker", database_url, redis_url) as worker,
    ):
        yield House(ingest, worker, api, key)
