"""Score files as the loader reads them: lines, ids, batches."""

import gzip
import uuid
from pathlib import Path

import msgspec

from deploy.local.rows import Row, batches, count_lines, random_id, read_rows, rows_of, stable_id


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    scores = [{"id": "a", "comment": "one\u2028two\r\x85three"}, {"id": "b"}]
    path = tmp_path / "scores.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(msgspec.json.encode(score) for score in scores)))

    rows = list(read_rows(path, random_id))

    assert [row.id for row in rows] == ["a", "b"]
    assert count_lines(path) == 2


def test_a_row_without_an_id_gets_one_and_keeps_the_rest() -> None:
    [row] = rows_of([b'{"value": 1.50, "name": "x"}'], stable_id("main"))

    assert row.score == b'{"id":"%s","value":1.50,"name":"x"}' % row.id.encode()


def test_a_stable_id_follows_from_the_line_number() -> None:
    rows = list(rows_of([b'{"name": "x"}', b"\n", b'{"name": "x"}'], stable_id("main")))

    assert [row.id for row in rows] == [str(uuid.uuid5(uuid.NAMESPACE_URL, f"main:{line}")) for line in (1, 3)]


def test_a_row_keeps_its_own_id() -> None:
    [row] = rows_of([b'{"id": "mine"}'], stable_id("main"))

    assert row.id == "mine"


def test_a_line_that_is_no_object_is_a_row_without_a_score() -> None:
    rows = list(rows_of([b"nonsense", b"[1]"], random_id))

    assert [row.score for row in rows] == [None, None]
    assert all(row.fault for row in rows)


def test_batches_keep_the_order_and_the_rest() -> None:
    rows = [Row(line, str(line), b"{}") for line in range(1, 8)]

    assert [[row.line for row in batch] for batch in batches(rows, 3)] == [[1, 2, 3], [4, 5, 6], [7]]
