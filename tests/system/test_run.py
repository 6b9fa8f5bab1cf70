"""`make run` as a person meets it: one process that starts everything, keeps it running and stops all of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.leaks import WATCH

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60


class Runner:
    """One `python -m deploy.local run` in a home and on ports of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = {name: str(_free_port()) for name in ("ASSAY_INGEST_PORT", "ASSAY_API_PORT")}
        ours = ("DATABASE_URL", "REDIS_URL", "ASSAY_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment = {**inherited, **ports, "ASSAY_HOME": str(home)}
        self.screen = home.with_name(f"{home.name} screen")

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Start it and wait for run.json; make sure that it has gone afterwards."""
        with self.screen.open("ab") as screen, self._popen(screen) as process:
            try:
                _wait_until(lambda: self._run_file.exists() or process.poll() is not None)
                assert self._run_file.exists(), self.said()
                yield process
            finally:
                process.terminate()
                process.wait(PATIENCE_SECONDS)
                for log in self.home.glob("logs/*.log*"):
                    WATCH.search(log.read_bytes(), f"make run: {log.name}")

    def refused(self, **environment: str) -> str:
        """Run it where it can't start; return what it said."""
        command = [sys.executable, "-m", "deploy.local", "run"]
        changed = {**self.environment, **environment}
        result = subprocess.run(
            command, cwd=PROJECT, env=changed, capture_output=True, text=True, timeout=30, check=False
        )
        assert result.returncode == 1
        return result.stderr

    def run(self) -> dict[str, Any]:
        run: dict[str, Any] = json.loads(self._run_file.read_text())
        return run

    def pids(self) -> dict[str, int]:
        pids: dict[str, int] = self.run()["pids"]
        return pids

    def said(self) -> str:
        return self.screen.read_text()

    @property
    def _run_file(self) -> Path:
        return self.home / "run.json"

    def _popen(self, screen: Any) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "deploy.local", "run"]
        return subprocess.Popen(command, cwd=PROJECT, env=self.environment, stdout=screen, stderr=screen)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path / "my home")


def test_a_score_is_kept_through_a_killed_worker_and_a_restart(runner: Runner) -> None:
    with runner.running() as process:
        _post(runner.run(), {"trace_id": "t1", "name": "relevance", "value": 0.5})
        worker = runner.pids()["worker"]
        os.kill(worker, signal.SIGKILL)
        _wait_until(lambda: runner.pids()["worker"] != worker)
        _post(runner.run(), {"trace_id": "t2", "name": "relevance", "value": 1.0})
        _wait_until(lambda: _counts(runner.run()) == {"relevance": 2})
        pids = list(runner.pids().values())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0

    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not (runner.home / "run.json").exists()
    assert f"worker (pid {worker}) ended by SIGKILL" in runner.said()
    with runner.running():
        assert _counts(runner.run()) == {"relevance": 2}


def test_the_first_start_shows_generated_scores_and_leaves_the_project_empty(runner: Runner) -> None:
    with runner.running() as process:
        run = runner.run()
        _wait_until(lambda: "Ctrl-C stops everything" in runner.said())
        assert _counts(run) == {}
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0

    assert "2,000 generated scores went through" in runner.said()
    assert run["api_key"] in runner.said()
    for secret in (run["database_url"], run["redis_url"]):
        assert secret not in runner.said()


def test_nothing_outlives_a_runner_that_is_killed_and_the_next_one_starts(runner: Runner) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells children that their parent is gone")
    with runner.running() as process:
        pids = list(runner.pids().values())
        process.kill()
        process.wait(PATIENCE_SECONDS)
        _wait_until(lambda: not any(_runs(pid) for pid in pids))
        (runner.home / "run.json").unlink()

    with runner.running():
        assert set(runner.pids()) == {"ingest", "worker", "api", "postgres", "redis"}


def test_a_second_run_in_the_same_home_and_one_on_the_same_ports_are_refused(runner: Runner, tmp_path: Path) -> None:
    with runner.running():
        assert "already runs" in runner.refused()
        said = runner.refused(ASSAY_HOME=str(tmp_path / "another"))

    assert f"Port {runner.environment['ASSAY_INGEST_PORT']} is taken" in said
    assert "ASSAY_INGEST_PORT" in said


def _post(run: dict[str, Any], score: dict[str, Any]) -> None:
    answer = httpx.post(f"{run['ingest_url']}/v1/scores", json={"scores": [score]}, headers=_key(run), timeout=10)
    assert answer.status_code == 202, answer.text


def _counts(run: dict[str, Any]) -> dict[str, int]:
    answer = httpx.get(f"{run['api_url']}/v1/scores/aggregate", headers=_key(run), timeout=10)
    assert answer.status_code == 200, answer.text
    return {item["name"]: item["count"] for item in answer.json()["items"]}


def _key(run: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {run['api_key']}"}


def _runs(pid: int) -> bool:
    """Whether it runs; one that waits for a parent to take notice of its end does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
