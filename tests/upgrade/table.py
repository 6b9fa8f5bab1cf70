"""Tell a person what a run found."""

from tests.upgrade.run import Result


def table(result: Result) -> str:
    found = result.findings
    rows: list[tuple[str, object]] = [
        ("migrated", result.migrated.strip()),
        ("under load for", f"{result.seconds:.0f} s"),
        ("replaced, one after the other", ", ".join(result.steps)),
        ("answers", ", ".join(f"{outcome} {count:,}" for outcome, count in result.outcomes.most_common())),
        ("manager's steps", ", ".join(f"{step} {count:,}" for step, count in result.manager_steps.most_common())),
        ("ids acknowledged", f"{found.acknowledged:,}"),
        ("  stored", f"{found.stored:,}"),
        ("  rejected with a reason", f"{found.rejected:,}"),
        ("  lost", found.lost),
        ("doubled", found.doubled),
        ("rollups that differ", found.rollup_differences),
        ("problems in all", found.problem_count),
    ]
    lines = [f"{name:<32}{value}" for name, value in rows]
    errors = [f"{count:>6} × {what}" for what, count in result.errors_logged.most_common(20)]
    return "\n".join([*lines, *(["errors that services logged:"] if errors else []), *errors, *found.problems])
