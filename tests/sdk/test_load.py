"""`assay load`: every row accounted for, in every format, also when it is interrupted."""

import asyncio
import csv
import gzip
import json
import signal
import sys
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.conftest import House
from tests.sdk.running import environment_of, run_assay, run_json
from tests.waiting import wait_until

ROWS = 3000
REAL_ROWS = 150_032


def write_rows(path: Path, count: int = ROWS, name: str = "relevance") -> Path:
    path.write_text(
        "".join(json.dumps({"name": name, "value": n / count, "trace_id": f"t{n}"}) + "\n" for n in range(count))
    )
    return path


def counts(house: House) -> dict[str, int]:
    with house.client() as client:
        return {item["name"]: item["count"] for item in client.aggregate(percentiles=False)}


def test_loading_twice_doubles_nothing(house: House, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")

    (first,) = run_json(house, tmp_path, "load", "rows.jsonl")["files"]
    (second,) = run_json(house, tmp_path, "load", "rows.jsonl")["files"]

    assert (first["rows"], first["stored"]) == (ROWS, ROWS)
    assert (second["stored"], second["replaced"] + second["unchanged"]) == (0, ROWS)
    assert counts(house) == {"relevance": ROWS}


def test_another_file_of_the_same_name_replaces_nothing(house: House, tmp_path: Path) -> None:
    for folder, name in (("monday", "relevance"), ("tuesday", "groundedness")):
        (tmp_path / folder).mkdir()
        write_rows(tmp_path / folder / "rows.jsonl", 10, name)
        run_assay(house, tmp_path, "load", f"{folder}/rows.jsonl")

    assert counts(house) == {"relevance": 10, "groundedness": 10}


def test_rejected_rows_are_counted_by_code_and_written_beside(house: House, tmp_path: Path) -> None:
    with house.client() as client:
        client.create_config(name="relevance", data_type="NUMERIC", min_value=0, max_value=1)
    lines = [
        '{"name": "relevance", "value": 0.5, "trace_id": "t1"}',
        '{"name": "relevance", "value": 1.5, "trace_id": "t1"}',
        "not json",
        "",
        '{"name": "relevance", "value": null, "trace_id": "t1"}',
        '{"name": "relevance", "value": 0.5, "trace_id": "t1", "reason": "nice"}',
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))

    (receipt,) = run_json(house, tmp_path, "load", "rows.jsonl", "--batch-size", "2", code=3)["files"]

    rejected = [json.loads(line) for line in (tmp_path / "rows.rejected.jsonl").read_text().splitlines()]
    assert (receipt["rows"], receipt["stored"], receipt["rejected"]) == (5, 1, 4)
    assert [(one["row"], one["code"]) for one in rejected] == [
        (2, "above_maximum"), (3, "invalid_json"), (5, "null_value"), (6, "unknown_field"),
    ]  # fmt: skip

    put_right = (tmp_path / "rows.rejected.jsonl").read_text().splitlines()[0].replace("1.5", "0.9")
    (tmp_path / "rows.rejected.jsonl").write_text(put_right)
    run_assay(house, tmp_path, "load", "rows.rejected.jsonl")
    assert counts(house) == {"relevance": 2}
    assert (tmp_path / "rows.rejected.jsonl").read_text() == put_right


def test_rejected_rows_never_go_over_a_file(house: House, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 3).read_text()
    (tmp_path / "again").mkdir()
    write_rows(tmp_path / "again" / "rows.jsonl", 3)

    run_assay(house, tmp_path, "load", "rows.jsonl", "--rejected", "rows.jsonl", code=2)
    run_assay(house, tmp_path, "load", "rows.jsonl", "again/rows.jsonl", code=2)

    assert (tmp_path / "rows.jsonl").read_text() == rows
    assert counts(house) == {}


def test_columns_of_a_csv_are_mapped(house: House, tmp_path: Path) -> None:
    text = "run,rating,model,note\nr1,0.5,large,good\nr2,,small,none\nr3,1,large,\n"
    (tmp_path / "ratings.csv").write_text(text)
    mapping = ["--map", "value=rating", "--map", "trace_id=run", "--map", "comment=note", "--set", "name=helpfulness"]

    unmapped = run_assay(house, tmp_path, "load", "ratings.csv", code=2)
    (receipt,) = run_json(house, tmp_path, "load", "ratings.csv", *mapping, "--extra", "metadata", code=3)["files"]

    assert unmapped == ""
    assert (receipt["stored"], receipt["rejected_by_code"]) == (2, {"missing_field": 1})
    with house.client() as client:
        (one,) = client.scores(trace_id="r1")
    assert (one["value"], one["comment"], one["metadata"]) == (0.5, "good", {"model": "large"})


def test_a_server_that_is_away_is_waited_for_and_then_given_up(house: House, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    house.ingest.stop()

    run_assay(house, tmp_path, "load", "rows.jsonl", "--patience", "1", code=1)
    house.ingest.start()
    (receipt,) = run_json(house, tmp_path, "load", "rows.jsonl")["files"]

    assert receipt["rows"] == ROWS
    assert counts(house) == {"relevance": ROWS}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_an_interrupted_load_goes_on_where_it_was(house: House, tmp_path: Path, number: signal.Signals) -> None:
    file = write_rows(tmp_path / "rows.jsonl", 30_000)

    code = await interrupted_load(house, tmp_path, file, number, after_rows=1000)
    (receipt,) = run_json(house, tmp_path, "load", str(file))["files"]

    assert code == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    assert (receipt["rows"], receipt["rejected"], receipt["unknown"]) == (30_000, 0, 0)
    assert counts(house) == {"relevance": 30_000}


@pytest.mark.real_data
@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
async def test_the_real_data_gives_its_true_aggregates(
    house: House, real_data: Path, tmp_path: Path, format: str
) -> None:
    (tmp_path / "rules.json").write_text(json.dumps(rules(real_data)))
    run_assay(house, tmp_path, "configs", "apply", "rules.json", "--yes")
    file = real_file(real_data, tmp_path, format)

    code = await interrupted_load(house, tmp_path, file, signal.SIGINT, after_rows=20_000)
    (receipt,) = run_json(house, tmp_path, "load", str(file))["files"]

    assert code == 130
    assert (receipt["rows"], receipt["rejected"], receipt["unknown"]) == (REAL_ROWS, 0, 0)
    assert_true(house, json.loads((real_data / "truth.json").read_text()))


def listen_to_interrupts() -> None:
    """A program that a shell started in the background, as this test may be, hands on that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def interrupted_load(house: House, folder: Path, file: Path, number: signal.Signals, after_rows: int) -> int:
    """Start a load and send it a signal once so many rows can be read; its exit code."""
    loading = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "assay", "load", str(file), "--quiet"),
        cwd=folder,
        env=environment_of(house, folder),
        preexec_fn=listen_to_interrupts,
    )
    await wait_until(lambda: sum(counts(house).values()) > after_rows)
    loading.send_signal(number)
    return await asyncio.wait_for(loading.wait(), 60)


def assert_true(house: House, truth: dict[str, Any]) -> None:
    with house.client() as client:
        found = {item["name"]: item for item in client.aggregate()}
    assert found.keys() == truth["per_name"].keys()
    for name, true in truth["per_name"].items():
        item: dict[str, Any] = dict(found[name])
        assert (item["data_type"], item["count"]) == (true["data_type"], true["count"]), name
        for ours, theirs in (("avg", "mean"), ("std_dev", "stddev_samp"), ("p50", "p50"), ("p99", "p99")):
            if true.get(theirs) is not None:
                assert isclose(item[ours], true[theirs], rel_tol=1e-9), name
        for ours, theirs in (("true_count", "true"), ("distribution", "categories")):
            if theirs in true:
                assert item[ours] == true[theirs], name


def rules(real_data: Path) -> list[dict[str, Any]]:
    made = []
    for config in json.loads((real_data / "score_configs.json").read_text())["configs"]:
        rule = {key: config[key] for key in ("name", "data_type", "description", "categories") if key in config}
        if config["data_type"] == "NUMERIC":
            rule |= {"min_value": config.get("min"), "max_value": config.get("max")}
        made.append(rule)
    return made


def real_file(real_data: Path, folder: Path, format: str) -> Path:
    """The rows of the real data in another format, each value as text."""
    source = real_data / "scores.jsonl.gz"
    if format == "jsonl":
        return source
    rows = [json.loads(line) for line in gzip.decompress(source.read_bytes()).split(b"\n") if line]
    columns = [
        "name",
        "value",
        "trace_id",
        "span_id",
        "session_id",
        "user_id",
        "source",
        "comment",
        "metadata",
        "timestamp",
    ]
    texts = [{name: _text(row.get(name)) for name in columns} for row in rows]
    path = folder / f"scores.{format}"
    if format == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(texts)
        return path
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist(texts, schema=pa.schema([(name, pa.string()) for name in columns])), path)
    return path


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
