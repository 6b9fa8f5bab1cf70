"""The bench beside peers: everybody is given the same work, and the report says what became of it."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bench.figures import Figure
from bench.peers.measure import Rate
from bench.peers.phoenix import REQUIREMENTS, pinned_version
from bench.peers.report import PeersRun, dropped_figures, keep, kill_figures, rate_figures, refresh_readme, summary
from bench.peers.store import Kept
from bench.peers.work import BATCH, annotation_bodies, judgements, score_bodies, span_bodies, span_ids
from bench.results import Machine
from deploy.local.lock_check import problems

BEGIN, END = "<!-- the last run beside peers -->", "<!-- end of the last run beside peers -->"


def rate(readable: float, *, dropped: int = 0) -> Rate:
    return Rate(accepted_per_second=2 * readable, readable_per_second=readable, cpu_seconds=0.5, dropped=dropped)


@pytest.fixture
def run() -> PeersRun:
    return PeersRun(
        at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        seconds=1.0,
        scores=1000,
        rounds=2,
        kills=1,
        killed_scores=500,
        flood_scores=2000,
        others=0.25,
        machine=Machine(cores=2, memory_gib=8.0, processor="a processor", system="a system"),
        versions=dict.fromkeys(("commit", "arize-phoenix", "python", "postgres", "redis-server"), "1"),
        figures=dropped_figures({"Assay": [rate(1.0)]}, 1000),
    )


def test_no_two_judgements_share_span_and_name() -> None:
    work = judgements(1234)

    assert len({(of.span_id, of.name) for of in work}) == len(work) == 1234


def test_the_work_is_the_same_every_time() -> None:
    assert judgements(50) == judgements(50)


def test_each_store_is_sent_the_same_facts_in_the_same_batches() -> None:
    work = judgements(250)

    scores = [msgspec.json.decode(body)["scores"] for body in score_bodies(work)]
    annotations = [msgspec.json.decode(body)["data"] for body in annotation_bodies(work)]

    assert [len(batch) for batch in scores] == [BATCH, BATCH, 50]
    assert [[facts_of_score(one) for one in batch] for batch in scores] == [
        [facts_of_annotation(one) for one in batch] for batch in annotations
    ]


def facts_of_score(score: dict[str, object]) -> list[object]:
    return [score["span_id"], score["name"], score["value"], score.get("comment"), score["metadata"]]


def facts_of_annotation(annotation: dict[str, dict[str, object]]) -> list[object]:
    result = annotation["result"]
    said = [result["score"], result.get("explanation"), annotation["metadata"]]
    return [annotation["span_id"], annotation["name"], *said]


def test_every_judged_span_is_made_once() -> None:
    work = judgements(6005)

    made = [
        span["context"]["span_id"]
        for body in span_bodies(span_ids(len(work)))
        for span in msgspec.json.decode(body)["data"]
    ]

    assert made == list(dict.fromkeys(of.span_id for of in work))


def test_assay_stands_beside_each_peer() -> None:
    figures = rate_figures({"Assay": [rate(500.0)], "Phoenix": [rate(10.0)], "other": [rate(25.0)]}, 1000)

    readable = [figure for figure in figures if figure.part == "readable" and figure.limit is not None]

    assert [(figure.limit.name, figure.shares, figure.is_met) for figure in readable if figure.limit] == [
        ("Phoenix", [50.0], True),
        ("other", [20.0], False),
    ]


def test_cpu_time_is_given_for_one_score() -> None:
    figures = rate_figures({"Assay": [rate(500.0)], "Phoenix": [rate(10.0)]}, 1000)

    assert [figure.runs for figure in figures if figure.part.startswith("CPU")] == [[500.0], [500.0]]


def test_a_kill_is_judged_by_what_is_missing_and_what_is_there_twice() -> None:
    kept = {"Assay": [Kept(rows=500, distinct=500)], "Phoenix": [Kept(rows=310, distinct=300)]}

    figures = kill_figures(kept, 500)

    assert [runs_of(figure) for figure in figures] == [
        ("Assay", [0.0], True),
        ("Phoenix", [200.0], None),
        ("Assay", [0.0], True),
        ("Phoenix", [10.0], None),
    ]


def test_a_single_score_that_assay_loses_misses_the_goal() -> None:
    [figure] = dropped_figures({"Assay": [rate(500.0, dropped=1)]}, 1000)

    assert figure.is_met is False


def runs_of(figure: Figure) -> tuple[str, list[float], bool | None]:
    return figure.name, figure.runs, figure.is_met


def test_the_readme_keeps_all_but_the_table_of_the_run_before(tmp_path: Path, run: PeersRun) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    refresh_readme(run, readme)

    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n{summary(run)}\n\n| what ")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "old" not in text


def test_a_readme_without_a_place_for_the_table_is_left_alone(tmp_path: Path, run: PeersRun) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\nafter\n")

    with pytest.raises(ValueError, match="no place"):
        refresh_readme(run, readme)

    assert readme.read_text() == "before\nafter\n"


def test_a_run_is_kept_under_its_minute(tmp_path: Path, run: PeersRun) -> None:
    path = keep(run, tmp_path)

    assert path.name == "2026-01-02-0304-peers.json"
    assert msgspec.json.decode(path.read_bytes(), type=PeersRun) == run


def test_the_peer_is_pinned_with_hashes() -> None:
    text = REQUIREMENTS.read_text()

    assert problems(text) == []
    assert pinned_version(text)
