"""What a call of `score()` costs, in each state of the server: sdk/python/bench/call_cost.py, run as it stands."""

import asyncio
import sys

import msgspec

from bench.figures import Figure, Goal
from bench.house import CHECKOUT
from bench.plan import Plan

PART = "sdk"
SCRIPT = CHECKOUT / "sdk" / "python" / "bench" / "call_cost.py"
ROUNDS_MAX = 3
STATES = {"up": "up", "away": "away", "slow": "answering after 5 s", "500": "answering 500"}


async def measure(plan: Plan) -> list[Figure]:
    """The states take turns; every measurement is a process of its own, and so is the server."""
    rounds = str(min(plan.rounds, ROUNDS_MAX))
    script = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, "--json", "--seconds=0", f"--rounds={rounds}", stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await script.communicate()
    if script.returncode != 0:
        raise RuntimeError(f"{SCRIPT.name} ended with exit code {script.returncode}")
    calls = msgspec.json.decode(printed, type=dict[str, list[dict[str, float]]])
    return [_figure(calls, state, quantile) for quantile in ("p50", "p99") for state in STATES]


def _figure(calls: dict[str, list[dict[str, float]]], state: str, quantile: str) -> Figure:
    is_median = quantile == "p50"
    return Figure(
        part=PART,
        name=f"score(), the server {STATES[state]}: {quantile}",
        unit="µs",
        runs=[found[quantile] * 1e6 for found in calls[state]],
        goal=Goal("below", 10) if is_median else None,
        headline="score() in the SDK: p50" if is_median and state == "up" else None,
    )
