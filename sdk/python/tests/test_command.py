"""The command without a server, or with a scripted one: what it can't read or write, and what `tail` shows once."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from scripted_ingest import Answer, Request, ScriptedIngest, problem

from assay.command.main import main
from assay.command.rows import RowFile
from assay.command.tail import Arrived

NO_ROWS = Answer(200, body={"items": [], "next_cursor": None})


@pytest.fixture(autouse=True)
def access(ingest: ScriptedIngest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("API_KEY", "assay_test"), ("INGEST_URL", ingest.url), ("API_URL", ingest.url)):
        monkeypatch.setenv(f"ASSAY_{name}", text)
    monkeypatch.chdir(tmp_path)
    ingest.script = lambda request: NO_ROWS


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        ("rules.json", b"{", ["configs", "apply", "rules.json"]),
        ("rules.yaml", b"a: [", ["configs", "apply", "rules.yaml"]),
        ("rules.yaml", b"\xff\xfe", ["configs", "apply", "rules.yaml"]),
        ("rows.csv", b"\xe9name,value\n", ["load", "rows.csv"]),
        ("rows.csv.gz", b"\x1f\x8bno gzip", ["load", "rows.csv.gz"]),
        ("rows.jsonl", b'{"name": "a"}\n', ["load", "rows.jsonl", "--state-dir", "rows.jsonl/state"]),
        ("rows.jsonl", b"", ["export", "-o", "nowhere/rows.jsonl"]),
    ],
)
def test_what_cannot_be_read_or_written_is_said_in_a_sentence(
    name: str, content: bytes, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_bytes(content)

    assert main(command) in (1, 2)
    assert "assay: " in capsys.readouterr().err


def test_a_parquet_file_that_is_none_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    Path("rows.parquet").write_bytes(b"nothing")

    assert main(["load", "rows.parquet"]) == 1
    assert "can't be read as Parquet" in capsys.readouterr().err


def test_an_export_of_nothing_has_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "-o", "none.csv"]) == 0

    assert Path("none.csv").read_text().startswith("id,name,value,")


def score(id: str, received_at: str = "2025-03-01T10:00:00Z", scored_at: str = "2025-03-01T10:00:00Z") -> Any:
    return {
        "id": id, "received_at": received_at, "scored_at": scored_at, "name": "relevance", "value": 0.5,
        "trace_id": "t1", "source": "SDK",
    }  # fmt: skip


def ids(scores: Any) -> list[str]:
    return [one["id"] for one in scores]


def test_tail_shows_a_score_once_and_a_replaced_one_again() -> None:
    arrived = Arrived()

    assert ids(arrived.new([score("a"), score("b")])) == ["a", "b"]
    assert ids(arrived.new([score("b"), score("a", "2025-03-01T10:00:01Z")])) == ["a"]


def test_tail_asks_on_from_where_the_answer_was_complete() -> None:
    arrived = Arrived()
    list(arrived.new([score("a", "2025-03-01T10:00:00.5Z")]))

    arrived.complete("2025-03-01T10:00:04.250Z")

    assert arrived.since is not None
    assert arrived.since.isoformat() == "2025-03-01T09:59:59.250000+00:00"
    assert ids(arrived.new([score("a", "2025-03-01T10:00:00.5Z")])) == []


def test_tail_does_not_go_back_further_than_five_minutes_for_a_long_queue() -> None:
    arrived = Arrived()
    list(arrived.new([score("a", "2025-03-01T10:00:00Z")]))

    arrived.complete("2025-03-01T08:00:00.000Z")

    assert arrived.since is not None
    assert arrived.since.isoformat() == "2025-03-01T09:55:00+00:00"


def test_tail_asks_again_while_the_api_is_away(ingest: ScriptedIngest, capsys: pytest.CaptureFixture[str]) -> None:
    answers = [NO_ROWS, problem(500, "internal_error"), Answer(200, body={"items": [score("a")], "next_cursor": None})]
    ingest.script = lambda request: answers.pop(0)

    assert main(["tail", "--count", "1", "--interval", "0"]) == 0

    printed = capsys.readouterr()
    assert "relevance = 0.5  trace t1" in printed.out
    assert "internal_error" in printed.err
    assert "received_from=" in ingest.requests[-1].path


def test_tail_shows_back_fills_of_many_pages(ingest: ScriptedIngest, capsys: pytest.CaptureFixture[str]) -> None:
    def script(request: Request) -> Answer:
        if "received_from" not in request.path:
            return NO_ROWS
        page = int(request.path.split("cursor=")[1]) if "cursor=" in request.path else 0
        rows = [score(f"{page}-{number}", scored_at="2001-01-01T00:00:00Z") for number in range(3)]
        return Answer(200, body={"items": rows, "next_cursor": str(page + 1) if page < 2 else None})

    ingest.script = script

    assert main(["tail", "-n", "0", "--count", "9", "--interval", "0"]) == 0
    assert capsys.readouterr().out.count("2001-01-01T00:00:00Z") == 9


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.csv"])
def test_how_much_of_a_file_is_read_can_be_asked_at_any_time(name: str) -> None:
    rows = b'"name","value"\n' + b'"a","1"\n' * 50_000 if name.endswith("csv") else b'{"name": "a"}\n' * 50_000
    Path(name).write_bytes(gzip.compress(rows, 0) if name.endswith("gz") else rows)
    file = RowFile(Path(name))

    reading = iter(file)
    fractions = [file.fraction(), *(file.fraction() for row in reading if row.number == 25_000), file.fraction()]

    assert fractions == [0.0, pytest.approx(0.5, abs=0.1), 1.0]  # the last one after it was closed
