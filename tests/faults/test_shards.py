"""The number of shards is changed: as it should be, and while batches wait. Real processes, stopped and started."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from shared.queue import label_of, stream_of
from tests.builders import a_score
from tests.faults.house import MARKS
from tests.leaks import WATCH
from tests.monitoring.pages import samples_in
from tests.stack import Project, make_project
from tests.system.processes import Service
from tests.waiting import wait_until

pytestmark = MARKS

MANY, FEW = 8, 2
STRANDED = "assay_worker_queue_stranded_entries"
FLOODS_AT_ONCE = {"ASSAY_FLOOD_BURST": "1", "ASSAY_FLOOD_SCORES_PER_SECOND": "0.001"}  # after a project's first batch
BATCHES = 3  # of a project: one in its own stream, the others in the bulk stream


class Assay:
    """Services over one PostgreSQL and one Redis, each started with a number of shards."""

    def __init__(self, database_url: str, redis_url: str, projects: list[Project]) -> None:
        self._urls = database_url, redis_url
        self.projects = projects

    @contextmanager
    def runs(self, name: str, shards: int) -> Iterator[Service]:
        settings = {"ASSAY_QUEUE_SHARDS": str(shards), **(FLOODS_AT_ONCE if name == "ingest" else {})}
        with Service(name, *self._urls, settings) as service:
            yield service
            assert service.stop() == 0

    async def send(self, ingest: Service, value: float) -> None:
        """Batches of one score each, of every project."""
        async with httpx.AsyncClient(base_url=ingest.url, timeout=30) as client:
            for project in self.projects:
                for number in range(BATCHES):
                    score = a_score(id=f"s{number}", value=value)
                    WATCH.remember((score,))
                    answer = await client.post("/v1/scores", json={"scores": [score]}, headers=project.headers)
                    assert answer.status_code == 202, answer.text

    async def stored(self, api: Service, project: Project) -> list[float]:
        async with httpx.AsyncClient(base_url=api.url, timeout=30, headers=project.headers) as client:
            answer = (await client.get("/v1/scores")).raise_for_status()
        return [item["value"] for item in answer.json()["items"]]

    async def all_are(self, api: Service, value: float) -> bool:
        return all([await self.stored(api, project) == [value] * BATCHES for project in self.projects])

    def beyond(self, shards: int) -> Counter[str]:
        """How many batches of `send` are in which stream, among those that fall away."""
        streams = (
            stream_of(project.id, MANY, bulk=number > 0) for project in self.projects for number in range(BATCHES)
        )
        return Counter(label_of(stream) for stream in streams if stream >= 2 * shards)


@pytest.fixture
async def assay(database_url: str, redis_url: str) -> Assay:
    """With so many projects that some are in every range of shards."""
    return Assay(database_url, redis_url, [await make_project(database_url, redis_url, f"p{n}") for n in range(16)])


def gauge(worker: Service, name: str) -> dict[str, float]:
    page = httpx.get(f"{worker.url}/metrics").text
    return {one.labels["stream"]: one.value for one in samples_in(page) if one.name == name}


def is_empty(worker: Service) -> bool:
    """As docs/operating.md has an operator look."""
    found = gauge(worker, "assay_worker_queue_entries") | gauge(worker, STRANDED)
    return set(found.values()) == {0}


async def test_batches_in_streams_that_fell_away_are_told_and_stored_once_the_number_is_set_back(assay: Assay) -> None:
    with assay.runs("ingest", MANY) as ingest:
        await assay.send(ingest, 0.5)
    stranded = assay.beyond(FEW)

    with assay.runs("api", MANY) as api, assay.runs("worker", FEW) as unaware:
        await wait_until(lambda: gauge(unaware, STRANDED) == stranded)
        for stream, entries in stranded.items():
            assert unaware.has_logged("scores_stranded", stream=stream, entries=str(entries), level="error")
        assert not await assay.all_are(api, 0.5)

        with assay.runs("worker", MANY):
            await wait_until(lambda: assay.all_are(api, 0.5))
            await wait_until(lambda: gauge(unaware, STRANDED) == dict.fromkeys(stranded, 0))


async def test_the_number_is_changed_as_the_docs_say(assay: Assay) -> None:
    with assay.runs("worker", MANY) as worker, assay.runs("api", MANY):
        with assay.runs("ingest", MANY) as ingest:
            await assay.send(ingest, 0.25)
        await wait_until(lambda: is_empty(worker))

    with assay.runs("worker", FEW) as worker, assay.runs("api", FEW) as api, assay.runs("ingest", FEW) as ingest:
        assert await assay.all_are(api, 0.25)
        await assay.send(ingest, 0.75)  # the same ids
        await wait_until(lambda: assay.all_are(api, 0.75))
        assert gauge(worker, STRANDED) == {}
        assert not worker.has_logged("scores_stranded")
