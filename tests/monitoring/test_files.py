"""Rules, dashboards and the runbook name what exists, and each other."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from deploy.monitoring.boards import BOARDS
from deploy.monitoring.panels import Panel, as_json
from shared.metrics import Service
from tests.monitoring.promql import OURS, faults, labels_of, selectors

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
PANELS: dict[str, Panel] = {f"{board.name}: {panel.title}": panel for board in BOARDS for panel in board.panels}
SERVICES: tuple[Service, ...] = ("ingest", "worker", "api")

_ENTRY = re.compile(r"^### (Assay\w+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_names_metrics_and_labels_that_exist(name: str) -> None:
    assert faults(RULES[name]["expr"]) == []


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_how_urgent_it_is_and_what_it_means_and_where_to_read_on(name: str) -> None:
    rule = RULES[name]

    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"


@pytest.mark.parametrize("name", RULES)
def test_what_a_rule_says_names_labels_that_its_alert_has(name: str) -> None:
    named = set(re.findall(r"\$labels\.(\w+)", RULES[name]["annotations"]["description"]))

    assert named <= labels_of(promql.parse(RULES[name]["expr"]))


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_names_metrics_and_labels_that_exist(name: str) -> None:
    for query in PANELS[name].queries:
        expr = query.expr.replace("$__rate_interval", "5m")

        assert faults(expr) == []
        assert set(re.findall(r"{{(\w+)}}", query.legend)) <= labels_of(promql.parse(expr))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_dashboard_is_written_as_its_board_says(board: Any) -> None:
    path = MONITORING / "dashboards" / f"{board.name}.json"
    assert path.read_text() == as_json(board), "run `make dashboards`"

    written = json.loads(path.read_text())
    drawn = {panel["title"]: [target["expr"] for target in panel["targets"]]
             for panel in written["panels"] if panel["type"] != "row"}  # fmt: skip
    assert drawn == {panel.title: [query.expr for query in panel.queries] for panel in board.panels}
    assert len({panel["id"] for panel in written["panels"]}) == len(written["panels"])


def test_no_dashboard_lies_about_that_has_no_board() -> None:
    assert {path.stem for path in (MONITORING / "dashboards").iterdir()} == {board.name for board in BOARDS}


def test_every_metric_is_on_a_dashboard_or_in_a_rule() -> None:
    """What nobody looks at need not be measured."""
    queries = [query.expr.replace("$__rate_interval", "5m") for panel in PANELS.values() for query in panel.queries]
    queries += [rule["expr"] for rule in RULES.values()]
    shown = {selector.name for query in queries for selector in selectors(promql.parse(query))}

    families = {series.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for series in shown}
    assert {re.sub("_(bucket|sum|count)$", "", series) for series in OURS} - families - SEEN_ELSEWHERE == set()


SEEN_ELSEWHERE = {
    "assay_worker_dead_letters_total",  # what waits is shown; how many came is for who asks
}


def test_every_rule_has_an_entry_in_the_runbook_and_every_entry_a_rule() -> None:
    entries = dict(_ENTRY.findall((ROOT / "docs" / "runbook.md").read_text()))

    assert entries.keys() == RULES.keys()
    for name, entry in entries.items():
        for part in ("**Means.**", "**Look at.**", "**Do.**"):
            assert part in entry, f"{name} has no {part}"


def test_the_example_for_prometheus_scrapes_what_rules_and_dashboards_go_by() -> None:
    example = yaml.safe_load((MONITORING / "prometheus.yml").read_text())

    assert {f"assay-{service}" for service in SERVICES} <= {job["job_name"] for job in example["scrape_configs"]}
    assert example["rule_files"] == ["alerts.yml"]


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("assay_ingest_scores_forgotten_total", "no such metric: assay_ingest_scores_forgotten_total"),
        ("rate(assay_ingest_scores_refused_total{project='p'}[5m])", "assay_ingest_scores_refused_total has no label"),
        ("max by (shard) (assay_ingest_queue_entries)", "nothing to aggregate by shard"),
        ("assay_ingest_scores_accepted_total > 5", "assay_ingest_scores_accepted_total grows"),
        ("rate(assay_ingest_queue_entries[5m])", "assay_ingest_queue_entries does not grow"),
        ("assay_worker_commit_seconds", "no such metric: assay_worker_commit_seconds"),
        ("assay_api_part_ok or assay_worker_part_fine", "no such metric: assay_worker_part_fine"),
        ("absent(assay_worker_part_fine)", "no such metric: assay_worker_part_fine"),
        ("-(1 + (assay_worker_part_fine))", "no such metric: assay_worker_part_fine"),
        ("max_over_time(assay_worker_part_fine[1h:5m])", "no such metric: assay_worker_part_fine"),
    ],
)
def test_a_query_that_names_what_does_not_exist_is_found_out(query: str, fault: str) -> None:
    assert [one for one in faults(query) if one.startswith(fault)]
