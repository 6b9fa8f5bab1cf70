"""The spool on disk: it survives a crash, belongs to its key, and holds nobody up."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from scripted_ingest import Answer, Request, ScriptedIngest, problem
from scripts import PATIENCE_SECONDS, POSIX, run_script, traces

from assay import Client
from assay.spool_files import OpenFile, root_of


@POSIX
def test_the_spool_survives_a_crash_of_the_application(
    ingest: ScriptedIngest, make_client: Callable[..., Client], tmp_path: Path
) -> None:
    script = """
        import os, signal, time, assay
        from pathlib import Path
        assay.init(ingest_url="http://127.0.0.1:9", batch_size=100)
        for number in range(1000):
            assay.score("relevance", 0.5, trace_id=f"t{number}")
        spool = Path(os.environ["ASSAY_SPOOL_DIR"])
        written = lambda: sum(path.read_bytes().count(b"\\n") for path in spool.rglob("*.jsonl"))
        while written() < 1000:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    crashed = run_script(script, ingest, ASSAY_SPOOL_DIR=str(tmp_path))
    client = make_client(spool_dir=str(tmp_path))

    assert crashed.returncode == -signal.SIGKILL
    ingest.wait_for_requests(10)
    assert client.flush(PATIENCE_SECONDS)
    assert traces(ingest) == {f"t{number}": 1 for number in range(1000)}
    assert client.counters()[:6] == (0, 1000, 0, 0, 0, 1000)
    assert list(tmp_path.rglob("*.jsonl")) == []


@POSIX
def test_a_spooling_client_leaves_the_rest_to_the_next_one(
    ingest: ScriptedIngest, make_client: Callable[..., Client], tmp_path: Path
) -> None:
    ingest.script = lambda request: problem(503, "queue_full", Retry_After="3600")
    first = make_client(spool_dir=str(tmp_path), batch_size=3)
    for number in range(10):
        first.score("relevance", 0.5, trace_id=f"t{number}")

    assert not first.shutdown(0.1)
    assert first.counters().dropped == 0
    ingest.requests.clear()
    ingest.script = lambda request: Answer()
    second = make_client(spool_dir=str(tmp_path))
    ingest.wait_for_requests(4)
    second.shutdown(PATIENCE_SECONDS)

    assert traces(ingest) == {f"t{number}": 1 for number in range(10)}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


@POSIX
def test_what_one_key_left_in_the_spool_is_not_sent_with_another(
    ingest: ScriptedIngest, make_client: Callable[..., Client], tmp_path: Path
) -> None:
    ingest.script = lambda request: problem(503, "queue_full", Retry_After="3600")
    first = make_client(spool_dir=str(tmp_path), api_key="assay_one")
    first.score("relevance", 0.5, trace_id="of one")
    first.shutdown(0)
    ingest.script = lambda request: Answer()
    ingest.requests.clear()

    other = make_client(spool_dir=str(tmp_path), api_key="assay_other")
    other.score("relevance", 0.5, trace_id="of other")
    assert other.flush(PATIENCE_SECONDS)
    again = make_client(spool_dir=str(tmp_path), api_key="assay_one")
    ingest.wait_for_requests(2)
    again.shutdown(PATIENCE_SECONDS)

    keys = {request.scores[0]["trace_id"]: request.headers["Authorization"] for request in ingest.requests}
    assert keys == {"of other": "Bearer assay_other", "of one": "Bearer assay_one"}


@POSIX
def test_a_damaged_spool_is_counted_and_holds_up_nothing(
    ingest: ScriptedIngest, make_client: Callable[..., Client], tmp_path: Path
) -> None:
    def refuse_what_is_no_json(request: Request) -> Answer:
        return Answer() if request.scores else problem(400, "invalid_json")

    left_behind = root_of(str(tmp_path), "assay_test") / "gone"
    left_behind.mkdir(parents=True)
    line = b'{"id":"s1","name":"relevance","value":0.5,"trace_id":"t1"}\n'
    (left_behind / "00000001.jsonl").write_bytes(b"".join([line, b"damaged\n", line, line[:20]]))
    ingest.script = refuse_what_is_no_json

    second = make_client(spool_dir=str(tmp_path))
    second.score("relevance", 0.5, trace_id="t1")

    assert second.flush(PATIENCE_SECONDS)
    second.shutdown(PATIENCE_SECONDS)
    counted = second.counters()
    assert (counted.recovered, counted.sent, counted.pending) == (3, 3, 0)
    assert counted.rejected_because == {"invalid_json": 1}


@POSIX
def test_a_file_that_is_cut_while_it_waits_is_counted(
    ingest: ScriptedIngest, make_client: Callable[..., Client], tmp_path: Path
) -> None:
    ingest.script = lambda request: problem(503, "queue_full")
    client = make_client(spool_dir=str(tmp_path), batch_size=5)
    for _ in range(5):
        client.score("relevance", 0.5, trace_id="t1")
    ingest.wait_for_requests(1)
    (file,) = tmp_path.rglob("*.jsonl")
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    ingest.script = lambda request: Answer()

    assert client.flush(PATIENCE_SECONDS)
    counted = client.counters()
    assert (counted.sent, counted.dropped_because, counted.pending) == (1, {"spool_lost": 4}, 0)


@POSIX
def test_a_disk_that_takes_a_part_takes_nothing(tmp_path: Path) -> None:
    class NearlyFull:
        def __init__(self) -> None:
            self.content = b""

        def tell(self) -> int:
            return len(self.content)

        def seek(self, place: int) -> None: ...

        def truncate(self, size: int) -> None:
            self.content = self.content[:size]

        def write(self, data: bytes) -> int:
            room = 20 - len(self.content)
            if room <= 0:
                raise OSError(28, "No space left on device")
            self.content += bytes(data[:room])
            return min(room, len(data))

    file = OpenFile(tmp_path / "1.jsonl", 0)
    file.close()
    disk = NearlyFull()
    file._file = cast(BinaryIO, disk)

    file.write([b"{}", b"{}"])
    with pytest.raises(OSError, match="No space"):
        file.write([b"x" * 15, b"y" * 15])

    assert disk.content == b"{}\n{}\n"
    assert file.count == 2


@POSIX
def test_a_spool_sends_as_a_queue_in_memory_does(
    ingest: ScriptedIngest, make_client: Callable[..., Client], tmp_path: Path
) -> None:
    ingest.answer_next(Answer(hang_up=True), problem(503, "queue_full"), problem(413, "body_too_large"))
    client = make_client(spool_dir=str(tmp_path), batch_size=100)

    for number in range(950):
        client.score("relevance", 0.5, trace_id=f"t{number}")

    assert client.flush(PATIENCE_SECONDS)
    assert {score["trace_id"] for score in ingest.scores} == {f"t{number}" for number in range(950)}
    assert client.counters().sent == 950
    assert list(tmp_path.rglob("*.jsonl")) == []


@POSIX
def test_a_full_spool_drops_and_counts(
    ingest: ScriptedIngest, make_client: Callable[..., Client], tmp_path: Path
) -> None:
    ingest.script = lambda request: problem(503, "queue_full", Retry_After="3600")
    client = make_client(
        spool_dir=str(tmp_path), spool_bytes=20_000, queue_size=100, batch_size=10, shutdown_seconds=0.1
    )

    for _ in range(2000):
        client.score("relevance", 0.5, trace_id="t1")

    counted = client.counters()
    assert counted.dropped > 1000
    assert counted.scored == counted.pending + counted.dropped == 2000
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) < 25_000


@POSIX
def test_a_spool_that_can_not_be_written_holds_nobody_up(
    ingest: ScriptedIngest, make_client: Callable[..., Client], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    client = make_client(spool_dir=str(tmp_path / "file"))

    client.score("relevance", 0.5, trace_id="t1")

    assert client.flush(PATIENCE_SECONDS)
    assert traces(ingest) == {"t1": 1}
