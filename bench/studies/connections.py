"""What a well-behaved sender notices of 10,000 idle and 1,000 slow connections to the same process of ingest."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.figures import Figure, Goal, Limit, percentile
from bench.house import CHECKOUT, Service
from bench.load import open_load
from bench.plan import Plan
from bench.usage import resident_mb
from deploy.local.process import wait_until

PART = "connections"
IDLE, SLOW = 10_000, 1_000
IDLE_SHORT, SLOW_SHORT = 500, 50
BATCH = 10
REQUESTS_PER_SECOND = 100
CONNECTIONS = 8
SECONDS_MIN = 12.0  # longer than a silent connection lives: each is replaced at least once
HELD = "assay_ingest_http_connections"
_GATHER_SECONDS = 120
_HELD = 0.97  # of them: those that were just ended are on their way back


class Crowd:
    """A crowd in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def open(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._said()["open"])

    def leave(self) -> dict[str, int]:
        """All of them at once; what they were answered."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._said()

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said


@contextmanager
def crowd_of(idle: int, slow: int, ingest: Service, key: str) -> Iterator[Crowd]:
    """Gathered, once the server has them all."""
    command = [sys.executable, "-m", "bench.crowd", *map(str, (*_place(ingest), idle, slow)), key]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        crowd = Crowd(process)
        try:
            held = wait_until(lambda: crowd.open() >= _HELD * (idle + slow), _GATHER_SECONDS, poll_seconds=0.2)
            if not held:
                raise RuntimeError(f"only {crowd.open()} of {idle + slow} connections are held")
            yield crowd
        finally:
            process.kill()


def _place(ingest: Service) -> tuple[str, int]:
    return ingest.address.host, ingest.address.port


async def measure(plan: Plan) -> list[Figure]:
    idle, slow = (IDLE_SHORT, SLOW_SHORT) if plan.is_short else (IDLE, SLOW)
    key = plan.house.credentials.api_key
    latencies: dict[str, list[list[float]]] = {"before": [], "during": [], "after": []}
    memory: dict[str, list[float]] = {"before": [], "during": [], "after": []}
    held: list[float] = []
    with plan.house.service("worker"), plan.house.service("ingest") as ingest:
        await _sent(plan, ingest)  # warm-up
        for _ in range(plan.rounds):
            await _look(plan, ingest, "before", latencies, memory)
            with crowd_of(idle, slow, ingest, key) as crowd:
                await _look(plan, ingest, "during", latencies, memory)
                held.append(ingest.metric(HELD))
                print(f"      the crowd: {crowd.leave()}", flush=True)
            wait_until(lambda: ingest.metric(HELD) < 100, _GATHER_SECONDS, poll_seconds=0.2)
            await _look(plan, ingest, "after", latencies, memory)
    return _figures(f"{idle:,} idle and {slow:,} slow connections", latencies, memory, held)


async def _look(
    plan: Plan, ingest: Service, when: str, latencies: dict[str, list[list[float]]], memory: dict[str, list[float]]
) -> None:
    latencies[when].append(await _sent(plan, ingest))
    memory[when].append(resident_mb(ingest.pid))


async def _sent(plan: Plan, ingest: Service) -> list[float]:
    """The sender's latencies: each of its requests is taken in."""
    await plan.house.empty_queue()
    outcome = await open_load(
        ingest.address,
        itertools.cycle(plan.full_batches_of(BATCH)),
        rate=REQUESTS_PER_SECOND,
        seconds=SECONDS_MIN if not plan.is_short else plan.seconds,
        connections=CONNECTIONS,
    )
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    return outcome.latencies


def _figures(
    crowd: str, latencies: dict[str, list[list[float]]], memory: dict[str, list[float]], held: list[float]
) -> list[Figure]:
    figures = []
    for word, share in (("p50", 0.5), ("p99", 0.99)):
        runs = {when: [percentile(run, share) * 1000 for run in found] for when, found in latencies.items()}
        for when in ("during", "after"):
            goal = Goal("at_most", 3) if when == "during" and word == "p99" else None
            limit = Limit("before", runs["before"])
            name = f"a sender's {word} {when} {crowd}"
            figures.append(Figure(part=PART, name=name, unit="ms", runs=runs[when], limit=limit, goal=goal))
    for when in ("during", "after"):
        limit = Limit("before", memory["before"])
        figures.append(Figure(part=PART, name=f"memory of ingest {when}", unit="MB", runs=memory[when], limit=limit))
    return [*figures, Figure(part=PART, name="connections held", unit="", runs=held)]
