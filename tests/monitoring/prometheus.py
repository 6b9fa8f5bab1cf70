"""A real Prometheus that scrapes real services, with the real rules: only that its clock seems to run faster.

Every duration of a rule, `for: 5m` and `[5m]`, is made SPEED times shorter, and it scrapes and evaluates that much more
often. Thresholds are left as they are: a backlog of 30 seconds takes 30 seconds.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from tests.monitoring.pages import samples_in
from tests.system.processes import free_port

SPEED = 60
INTERVAL = "500ms"
START_SECONDS = 30.0
MONITORING = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"

_DURATION = re.compile(r"(for: |\[)(\d+)m\b")


def hurried(rules: str) -> str:
    return _DURATION.sub(_hurried, rules)


def _hurried(found: re.Match[str]) -> str:
    return f"{found[1]}{int(found[2]) * 60_000 // SPEED}ms"


class Prometheus:
    """`targets` are the addresses by the name of their job in deploy/monitoring/prometheus.yml."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[str]]) -> None:
        self._folder = folder
        self._targets = targets
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        rules = (MONITORING / "alerts.yml").read_text()
        (self._folder / "alerts.yml").write_text(hurried(rules))
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(self._configuration()))
        program = shutil.which("prometheus")
        assert program is not None
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
            )
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/-/ready").is_success:
                    return
            time.sleep(0.05)  # waiting for a process outside of ours
        raise RuntimeError(f"Prometheus is not ready: {(self._folder / 'prometheus.log').read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _configuration(self) -> dict[str, Any]:
        """The example's, with other targets."""
        found: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        found["global"] = {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL}
        for job in found["scrape_configs"]:
            job["static_configs"] = [{"targets": list(self._targets[job["job_name"]])}]
        return found

    async def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {alert["alertname"] for alert in await self.firing_alerts()}

    async def firing_alerts(self) -> list[dict[str, str]]:
        """Their labels."""
        alerts = (await self._ask("/api/v1/alerts")).json()["data"]["alerts"]
        return [alert["labels"] for alert in alerts if alert["state"] == "firing"]

    async def evaluations(self) -> int:
        """How often every group of rules has been evaluated since the start, at the least."""
        page = (await self._ask("/metrics")).text
        name = "prometheus_rule_group_iterations_total"
        return int(min((one.value for one in samples_in(page) if one.name == name), default=0))

    async def finds(self, query: str) -> int:
        """How many series; raises where it is no query."""
        answer = await self._ask("/api/v1/query", query=_DURATION.sub(_hurried, query))
        return len(answer.json()["data"]["result"])

    async def _ask(self, path: str, **parameters: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=10) as client:
            return (await client.get(path, params=parameters)).raise_for_status()
