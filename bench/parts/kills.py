"""kill -9 of anything under load, and then an account of every score: a short form of `make chaos` (SPEC 13)."""

import asyncio

from bench.figures import Figure, Goal, Limit
from bench.plan import Plan
from tests.chaos.run import Result, run

PART = "kills"
SEED = 46  # at 20 kills every part is killed four times or more
RATE = 2000.0
PHOENIX_LOST = 900.0  # of 5,000 acknowledged ones in one kill, as the specification has it
NONE = Goal("below", 1)


async def measure(plan: Plan) -> list[Figure]:
    """In a house of its own, with two ingests, two workers and servers that are killed too."""
    result = await asyncio.to_thread(run, seed=SEED, kills=plan.kills, rate=RATE)
    for problem in result.findings.problems:
        print(f"  {problem}")
    return figures_of(result)


def figures_of(result: Result) -> list[Figure]:
    found = result.findings
    killed = sum(count for (_, blow), count in result.struck.items() if blow == "SIGKILL")
    parts = ", ".join(f"{part} {count}" for (part, blow), count in sorted(result.struck.items()) if blow == "SIGKILL")
    phoenix = Limit("Phoenix, of 5,000 in one kill", [PHOENIX_LOST])
    return [
        _figure(f"parts killed ({parts})", killed),
        _figure("other signals: SIGTERM and SIGSTOP", sum(result.struck.values()) - killed),
        _figure("load", result.scores_per_second, "scores/s"),
        _figure("scores acknowledged", found.acknowledged),
        _figure("of them lost", found.lost, "", NONE, "kill -9 under load: lost", phoenix),
        _figure("stored twice", found.doubled, "", NONE, "kill -9 under load: doubled"),
        _figure("rollups that differ", found.rollup_differences, "", NONE, "kill -9 under load: rollups that differ"),
        _figure("problems of any kind", found.problem_count, "", NONE),
        _figure("the longest time to recover", max(result.recoveries.values(), default=0.0), "s"),
    ]


def _figure(
    name: str,
    found: float,
    unit: str = "",
    goal: Goal | None = None,
    headline: str | None = None,
    limit: Limit | None = None,
) -> Figure:
    return Figure(part=PART, name=name, unit=unit, runs=[float(found)], limit=limit, goal=goal, headline=headline)
