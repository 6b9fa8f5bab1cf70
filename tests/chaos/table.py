"""Tell a person what a run found."""

from tests.chaos.run import Result

PARTS = ("ingest", "worker", "api", "redis", "postgres")
BLOWS = ("SIGKILL", "SIGTERM", "SIGSTOP")


def table(result: Result) -> str:
    found = result.findings
    rows: list[tuple[str, object]] = [
        ("seed", result.seed),
        ("load", f"{result.scores_per_second:,.0f} scores/s for {result.storm_seconds:.0f} s"),
        ("batches acknowledged", f"{found.batches:,}"),
        ("  of them in bulk streams", f"{result.bulk_batches:,}"),
        ("ids acknowledged", f"{found.acknowledged:,}"),
        ("  stored", f"{found.stored:,}"),
        ("  rejected with a reason", f"{found.rejected:,}"),
        ("  lost", found.lost),
        ("doubled", found.doubled),
        ("manager's steps", f"{result.manager_steps.total():,}"),
        ("requests without an answer", f"{result.ghost_requests:,}"),
        ("unacknowledged ids stored", f"{found.unacknowledged_stored:,}"),
        ("rollups that differ", found.rollup_differences),
        ("problems in all", found.problem_count),
        ("time to drain", f"{result.drain_seconds:.1f} s"),
    ]
    lines = [f"{name:<28}{value!s:>28}" for name, value in rows]
    outcomes = ", ".join(f"{outcome} {count:,}" for outcome, count in result.outcomes.most_common())
    steps = ", ".join(f"{step} {count:,}" for step, count in result.manager_steps.most_common())
    return "\n".join(
        [
            "",
            *lines,
            f"answers: {outcomes}",
            f"manager: {steps}",
            "",
            *_faults(result),
            "",
            *_errors(result),
            *found.problems,
        ]
    )


def _faults(result: Result) -> list[str]:
    """How often each part was struck, and the longest time until a new score was acknowledged and readable again."""
    lines = [f"{'':<10}" + "".join(f"{blow:>20}" for blow in BLOWS) + f"{'ended by itself':>20}"]
    for part in PARTS:
        cells = "".join(f"{_cell(result, part, blow):>20}" for blow in BLOWS)
        lines.append(f"{part:<10}{cells}{result.died_alone[part]:>20}")
    total = sum(count for (_, blow), count in result.struck.items() if blow == "SIGKILL")
    slowest = max(result.recoveries.items(), key=lambda item: item[1], default=(("", ""), 0.0))
    return [
        *lines,
        f"{total} kills; the longest time to recover was {slowest[1]:.1f} s, after {' '.join(slowest[0])}",
    ]


def _errors(result: Result) -> list[str]:
    lines = [f"{count:>6} × {what}" for what, count in result.errors_logged.most_common(20)]
    return [*(["errors that services logged:"] if lines else []), *lines, ""]


def _cell(result: Result, part: str, blow: str) -> str:
    count = result.struck[part, blow]
    return f"{count} (≤ {result.recoveries.get((part, blow), 0):.1f} s)" if count else "0"
