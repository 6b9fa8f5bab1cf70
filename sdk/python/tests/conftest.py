"""The package from this checkout, and a scripted ingest to send to."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from places import SOURCES

sys.path.insert(0, str(SOURCES))

from scripted_ingest import ScriptedIngest

from assay import Client


@pytest.fixture
def ingest() -> Iterator[ScriptedIngest]:
    with ScriptedIngest() as server:
        yield server


@pytest.fixture
def make_client(ingest: ScriptedIngest) -> Iterator[Callable[..., Client]]:
    """Clients of the scripted ingest, that are shut down after the test. They ask for no receipts unless told to."""
    made = []

    def make(**settings: Any) -> Client:
        access = {"api_key": "assay_test", "ingest_url": ingest.url, "api_url": ingest.url}
        made.append(Client(**{**access, "receipts_seconds": 0, **settings}))
        return made[-1]

    yield make
    for client in made:
        client.shutdown(0.1)


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()
