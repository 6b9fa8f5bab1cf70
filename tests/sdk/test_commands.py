"""The command `assay`, as a person meets it."""

import json
import subprocess
import sys
from pathlib import Path

from tests.sdk.conftest import House
from tests.sdk.running import environment_of, run_assay, run_json

RULES = """
configs:
  - name: relevance
    data_type: NUMERIC
    min_value: 0
    max_value: 1
    higher_is_better: true
  - name: safety
    data_type: CATEGORICAL
    categories: [safe, unsafe]
"""


def test_one_score_is_sent_and_said_what_became_of_it(house: House, tmp_path: Path) -> None:
    stored = run_json(house, tmp_path, "score", "relevance", "0.5", "--trace-id", "t1", "--id", "s1")
    again = run_assay(house, tmp_path, "score", "relevance", "0.7", "--trace-id", "t1", "--id", "s1")
    mistake = run_assay(house, tmp_path, "score", "relevance", "0.5", code=2)

    assert stored == {"id": "s1", "became": "stored"}
    assert again == "s1 replaced\n"
    assert mistake == ""
    with house.client() as client:
        assert client.score_by_id("s1")["value"] == 0.7


def test_configs_are_made_as_a_file_says_and_twice_changes_nothing(house: House, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    plan = run_json(house, tmp_path, "configs", "apply", "rules.yaml", "--plan")
    first = run_json(house, tmp_path, "configs", "apply", "rules.yaml", "--yes")
    second = run_json(house, tmp_path, "configs", "apply", "rules.yaml", "--yes")
    (tmp_path / "rules.yaml").write_text(
        RULES.replace("max_value: 1", "max_value: 10").replace("  - name: safety", "  - name: harm")
    )
    third = run_assay(house, tmp_path, "configs", "apply", "rules.yaml", "--yes", "--prune")

    assert (plan["applied"], first["applied"], second["applied"]) == (False, True, False)
    assert [step["action"] for step in first["steps"]] == ["create", "create"]
    assert [step["action"] for step in second["steps"]] == ["keep", "keep"]
    assert "max_value: 1.0 → 10" in third
    with house.client() as client:
        assert {config["name"]: config["max_value"] for config in client.configs()} == {"relevance": 10, "harm": None}


def test_configs_are_not_applied_without_being_asked_for(house: House, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)

    run_assay(house, tmp_path, "configs", "apply", "rules.yaml", code=2)

    assert run_json(house, tmp_path, "configs", "list") == {"configs": []}


def test_a_changed_data_type_archives_and_makes_anew(house: House, tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps([{"name": "ok", "data_type": "BOOLEAN"}]))
    run_assay(house, tmp_path, "configs", "apply", "rules.json", "--yes")
    (tmp_path / "rules.json").write_text(json.dumps([{"name": "ok", "data_type": "NUMERIC", "min_value": 0}]))

    changed = run_json(house, tmp_path, "configs", "apply", "rules.json", "--yes")

    assert [step["action"] for step in changed["steps"]] == ["replace"]
    with house.client() as client:
        assert [config["data_type"] for config in client.configs()] == ["NUMERIC"]


def test_status_says_what_is_there_and_what_is_not(house: House, tmp_path: Path) -> None:
    run_assay(house, tmp_path, "score", "relevance", "0.5", "--trace-id", "t1")

    well = run_json(house, tmp_path, "status")
    house.ingest.stop()
    ill = run_json(house, tmp_path, "status", code=1)

    assert well["scores"] == [{"name": "relevance", "data_type": "NUMERIC", "count": 1}]
    assert [ill["services"][name]["ready"] for name in ("ingest", "api")] == [False, True]


def test_a_wrong_key_and_a_missing_one_are_said(house: House, tmp_path: Path) -> None:
    run_assay(house, tmp_path, "tail", "--api-key", "assay_wrong", code=1)
    run_assay(house, tmp_path, "status", "--api-url", "nowhere", code=2)
    run_assay(house, tmp_path, "--help")


def test_what_is_exported_can_be_loaded_again_in_every_format(house: House, tmp_path: Path) -> None:
    rows = [
        {"name": "relevance", "value": 0.25, "trace_id": "t1", "comment": 'a\nb, "c"', "metadata": {"a": {"b": [1]}}},
        {"name": "grade", "value": "5", "span_id": "p1", "timestamp": "2025-03-01T10:00:00Z"},
        {"name": "resolved", "value": False, "user_id": "u1", "source": "HUMAN", "author": "kim"},
        {"name": "verdict", "value": "true", "session_id": "c1"},
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run_assay(house, tmp_path, "load", "rows.jsonl")
    first = run_assay(house, tmp_path, "export")

    for name in ("all.jsonl", "all.csv", "all.parquet"):
        assert run_json(house, tmp_path, "export", "-o", name)["scores"] == 4
        (receipt,) = run_json(house, tmp_path, "load", name)["files"]
        assert receipt["replaced"] + receipt["unchanged"] == 4
        assert run_assay(house, tmp_path, "export") == first

    assert len(run_assay(house, tmp_path, "export", "--name", "grade").splitlines()) == 1


def test_tail_shows_what_arrives(house: House, tmp_path: Path) -> None:
    run_assay(house, tmp_path, "score", "relevance", "0.1", "--trace-id", "t1")
    command = [sys.executable, "-m", "assay", "tail", "--count", "3", "--interval", "0.1"]
    with subprocess.Popen(command, env=environment_of(house, tmp_path), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        first = following.stdout.readline()
        run_assay(house, tmp_path, "score", "safety", "unsafe", "--session-id", "c7")
        run_assay(house, tmp_path, "score", "thumbs", "true", "--user-id", "u1", "--timestamp", "2001-01-01T00:00:00Z")
        try:
            later, _ = following.communicate(timeout=30)
        finally:
            following.kill()
        assert following.returncode == 0

    assert "relevance = 0.1" in first
    assert 'safety = "unsafe"  session c7' in later
    assert "2001-01-01T00:00:00Z  thumbs = true  user u1" in later  # a back-fill
