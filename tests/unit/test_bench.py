"""The bench: what its tables say, what a partial run leaves of README.md, and what is sent on top of a filled table."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bench.__main__ import PARTS, STUDIES
from bench.figures import Figure, Goal, Limit, goal_rows, percentile, table
from bench.incoming import new_scores, scattered_scores
from bench.readme import refreshed
from bench.results import README, Machine, PartRun, Run
from bench.rows import bodies
from bench.usage import cpu_seconds
from services.ingest.decode import decode
from shared.ids import uuid7s

TEXT = """before
<!-- goals -->
<!-- end of goals -->
between
<!-- ingest -->
<!-- end of ingest -->
<!-- memory -->
<!-- end of memory -->
after
"""


def a_figure(name: str, *runs: float, headline: str | None = None, limit: Limit | None = None) -> Figure:
    return Figure(
        part="p", name=name, unit="ms", runs=list(runs), limit=limit, goal=Goal("below", 5), headline=headline
    )


def a_run(**figures: Figure) -> Run:
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    return Run(
        at=at,
        seconds=1.0,
        rows="real",
        rounds=2,
        run_seconds=1.5,
        machine=Machine(cores=2, memory_gib=8.0, processor="a processor", system="a system"),
        versions=dict.fromkeys(("commit", "python", "postgres", "redis-server"), "1"),
        parts=[PartRun(name=name, at=at, seconds=1.0, others=0.25, figures=[one]) for name, one in figures.items()],
    )


def test_a_share_is_the_median_of_each_rounds_own() -> None:
    figure = a_figure("f", 10.0, 30.0, 20.0, limit=Limit("limit", [10.0, 60.0, 10.0]))

    assert figure.shares == [1.0, 0.5, 2.0]
    assert "100% (50% – 200%)" in table([figure])


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [(Goal("below", 21), True), (Goal("below", 20), False), (Goal("above", 19), True), (Goal("share", 1.1), False),
     (Goal("at_most", 1.0), True)],
)  # fmt: skip
def test_a_goal_is_judged_by_the_median(goal: Goal, is_met: bool) -> None:
    limit = Limit("limit", [10.0, 60.0, 10.0])

    assert Figure(part="p", name="f", unit="", runs=[10.0, 30.0, 20.0], limit=limit, goal=goal).is_met is is_met


def test_percentiles_are_of_the_values_that_are_there() -> None:
    assert [percentile([3.0, 1.0, 2.0, 4.0], share) for share in (0.5, 0.75, 0.99, 1.0)] == [2.0, 3.0, 4.0, 4.0]
    assert percentile([], 0.5) == 0.0


def test_a_line_of_the_specification_is_a_row_of_its_own() -> None:
    rows = goal_rows([a_figure("one", 1.0, headline="first goal"), a_figure("two", 2.0)])

    assert rows == {"first goal": "| first goal | 1 ms |  |  | < 5 | yes |"}


def test_a_part_that_was_not_run_keeps_its_table_and_its_goals() -> None:
    both = a_run(ingest=a_figure("rate", 1.0, headline="ingest"), memory=a_figure("size", 2.0, headline="memory"))
    before = refreshed(TEXT, both)

    after = refreshed(before, a_run(memory=a_figure("size", 9.0, headline="memory")))

    assert "| size | 9 ms |  |  | < 5 | **no** |" in after
    assert "| size | 2 ms" not in after
    assert "| rate | 1 ms" in after
    assert after.count("| ingest | 1 ms") == after.count("| memory | 9 ms") == 1
    assert "before\n" in after
    assert "between\n" in after
    assert after.endswith("after\n")


def test_refreshing_twice_with_the_same_run_changes_nothing() -> None:
    run = a_run(ingest=a_figure("rate", 1.0, headline="ingest"))

    assert refreshed(refreshed(TEXT, run), run) == refreshed(TEXT, run)


def test_a_run_of_all_parts_leaves_no_goal_that_is_no_more() -> None:
    before = refreshed(TEXT, a_run(ingest=a_figure("rate", 1.0, headline="an old name")))

    after = refreshed(before, a_run(ingest=a_figure("rate", 2.0, headline="a new name")), has_all_parts=True)

    assert "an old name" not in after
    assert "| a new name | 2 ms" in after


def test_a_part_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for growth"):
        refreshed(TEXT, a_run(growth=a_figure("f", 1.0)))


@pytest.mark.parametrize("part", [*PARTS, *STUDIES])
def test_every_part_and_study_has_a_place_in_the_readme(part: str) -> None:
    text = README.read_text(encoding="utf-8")

    assert "| f | 1 ms" in refreshed(text, a_run(**{part: a_figure("f", 1.0)}))


@pytest.mark.parametrize("make", [new_scores, scattered_scores])
def test_what_is_sent_on_top_of_a_filled_table_is_taken_in(make: Callable[[int, int, int], list[bytes]]) -> None:
    [body] = bodies(make(100_000, 1000, 7), 1000)

    decoded = decode(body, datetime.now(UTC), uuid7s, 1000)
    assert decoded.refused == []
    assert len(set(decoded.ids)) == 1000


def test_the_cpu_time_of_a_process_has_that_of_its_ended_grandchildren() -> None:
    burn = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print('done', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        assert cpu_seconds(process.pid) >= 0.3
        assert cpu_seconds(os.getpid()) >= cpu_seconds(process.pid)
        process.communicate(b"\n")
