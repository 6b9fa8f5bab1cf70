"""`make load DATA=folder`: the folder's configs, then its scores through the command `assay load`."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

from tests.sdk.conftest import House
from tests.sdk.running import environment_of
from tests.system.processes import ROOT

ROWS = [{"name": "relevance", "value": n / 100, "trace_id": f"t{n}"} for n in range(120)]  # 19 are above the maximum


def make_load(house: House, folder: Path, *arguments: str) -> str:
    """Run what `make load` runs, on a house that it is told of; return what it said."""
    where = [f"--{name.replace('_', '-')}={text}" for name, text in house.access.items()]
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.local", "load", str(folder), *where, *arguments],
        cwd=ROOT,
        env={**environment_of(house, folder), "ASSAY_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_folder_is_loaded_with_its_configs_and_accounted_for(house: House, tmp_path: Path) -> None:
    config = {"name": "relevance", "data_type": "NUMERIC", "min": 0, "max": 1}
    (tmp_path / "score_configs.json").write_text(json.dumps({"configs": [config]}))
    (tmp_path / "scores.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))

    first = make_load(house, tmp_path)
    second = make_load(house, tmp_path)

    assert "Score configs: 1 made, 0 were there already." in first
    assert "above_maximum" in first
    assert "Score configs: 0 made, 1 were there already." in second
    assert len((tmp_path / "home" / "loads" / "scores.rejected.jsonl").read_text().splitlines()) == 19
    with house.client() as client:
        assert client.aggregate()[0]["count"] == 101


def test_ids_of_line_numbers_are_those_that_the_options_name(house: House, tmp_path: Path) -> None:
    (tmp_path / "scores.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROWS[0]).encode()))

    make_load(house, tmp_path, "--ids")

    with house.client() as client:
        assert [score["id"] for score in client.scores()] == ["58969098-e1e1-53cd-b707-817afd2e0d90"]
