"""What Prometheus's own tool says of the rules, of the example, and of the pages of metrics."""

import asyncio
import re
import shutil
import subprocess

import httpx
import pytest

from tests.builders import a_score
from tests.monitoring.pages import a_worker
from tests.monitoring.test_files import MONITORING, RULES
from tests.stack import Stack

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt-get install prometheus)"
)


def promtool(*arguments: str, page: str | None = None) -> str:
    """What it says; raises where it finds fault."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=MONITORING, input=page, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_promtool
def test_each_rule_fires_when_it_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


@needs_promtool
def test_rules_and_example_are_sound() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "config", "prometheus.yml")


def test_every_rule_has_a_test_for_promtool() -> None:
    tests = (MONITORING / "alerts_test.yml").read_text()

    assert set(re.findall(r"(?:alertname: |alertname=\")(Assay\w+)", tests)) >= set(RULES)


@needs_promtool
async def test_the_pages_of_metrics_follow_the_customs(idle_stack: Stack) -> None:
    async def page_of(client: httpx.AsyncClient) -> str:
        return (await client.get("/metrics")).text

    async with a_worker(idle_stack, worker_roles="persist,jobs") as worker:
        await idle_stack.store(a_score())
        await idle_stack.read("/v1/scores")
        pages = [await page_of(client) for client in (idle_stack.ingest, idle_stack.api, worker)]

    for page in pages:
        assert await asyncio.to_thread(promtool, "check", "metrics", page=page) == ""
