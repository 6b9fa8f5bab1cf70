"""The docs name what exists, and their tables are those of the release."""

import re
from pathlib import Path

import pytest

from docs.tables import PAGE, with_tables
from services.worker.schedules import SCHEDULES
from tests.monitoring.promql import METRICS, OURS

ROOT = Path(__file__).resolve().parents[2]
NAMES = set(OURS) | {metric.name for metric in METRICS}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "docs" / "adr").glob("*.md"),
]

# `assay_worker_` in a regular expression, or with a placeholder, is no name.
_NAME = re.compile(r"\bassay_(?:ingest|worker|api|http|queue)_[a-z_]*[a-z]\b(?![_(<…])")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_metrics_that_exist(page: Path) -> None:
    assert set(_NAME.findall(page.read_text(encoding="utf-8"))) - NAMES == set()


def test_the_tables_are_those_of_this_release() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert with_tables(text) == text, "run `make tables`"
    assert with_tables(re.sub(r"(-- table: labels -->\n).*?(<!-- end)", r"\1\2", text, flags=re.DOTALL)) == text


@pytest.mark.parametrize("change", [("table: labels", "table: lables"), ("<!-- table: alerts -->", "")])
def test_a_place_for_a_table_that_is_missing_or_unknown_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="places for tables"):
        with_tables(PAGE.read_text(encoding="utf-8").replace(*change))


def test_no_event_is_in_the_table_of_events_twice() -> None:
    events = PAGE.read_text(encoding="utf-8").partition("\nEvents:\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| .*? \| (\w+) \|", events, re.MULTILINE)
    named = [(event, level) for cell, level in rows for event in re.findall(r"`(\w+)`", cell)]

    assert len(named) > 40
    assert [one for one in named if named.count(one) > 1] == []


def test_every_schedule_is_in_the_table_of_jobs_and_nothing_else() -> None:
    jobs = PAGE.read_text(encoding="utf-8").partition("\n## Jobs\n")[2].partition("\nBackground jobs")[0]

    assert re.findall(r"^\| `(\w+)` \|", jobs, re.MULTILINE) == [schedule.name for schedule in SCHEDULES]
