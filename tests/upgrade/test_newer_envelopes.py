"""An ingest that is newer than the workers: what they can't read is kept whole, and put back when they are new."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import a_score
from tests.site import Site
from tests.stack import Project
from tests.system.processes import Service
from tests.upgrade.release import NoPreviousRelease, Release, release_of

# The last commit whose workers knew nothing of compressed envelopes, into which ingest puts batches above 1,000 bytes.
BEFORE_COMPRESSION = "0f8b06cace15ecdb95147920b151662be28719aa"

pytestmark = pytest.mark.xdist_group("chaos")


@pytest.fixture
def older(tmp_path: Path) -> Release:
    try:
        return release_of(BEFORE_COMPRESSION, tmp_path)
    except NoPreviousRelease as reason:
        pytest.skip(str(reason))


def send(ingest: Service, project: Project, name: str, scores: int) -> set[str]:
    """The ids of one batch."""
    batch: list[dict[str, Any]] = [a_score(id=f"{name}-{number}") for number in range(scores)]
    answer = httpx.post(f"{ingest.url}/v1/scores", json={"scores": batch}, headers=project.headers, timeout=30)
    assert answer.status_code == 202, answer.text
    return set(answer.json()["ids"])


async def test_what_older_workers_can_not_read_is_put_back_when_they_are_new(older: Release, tmp_path: Path) -> None:
    with Site(tmp_path / "site") as site:
        await site.migrate()
        [project] = await site.make_projects(1)
        ingest = site.start("ingest")
        worker = site.start("worker", release=older)

        plain = [send(ingest, project, f"plain-{number}", scores=3) for number in range(5)]
        compressed = [send(ingest, project, f"compressed-{number}", scores=100) for number in range(5)]
        await site.drained()
        assert await site.scores() == set.union(*plain)
        assert "5 dead letters" in site.command("services.worker.dead_letters", "list")
        assert worker.stop() == 0

        site.start("worker")
        assert "5 persisted, 0 remain" in site.command("services.worker.dead_letters", "retry")
        assert await site.scores() == set.union(*plain, *compressed)
        assert site.command("services.worker.rollups", "verify") == "1 projects, 0 buckets differ\n"
