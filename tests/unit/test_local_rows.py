"""Lines of JSON as the demo sends them: rows, ids, batches."""

from deploy.local.rows import Row, batches, random_id, rows_of


def test_a_row_without_an_id_gets_one_and_keeps_the_rest() -> None:
    [row] = rows_of([b'{"value": 1.50, "name": "x"}'], random_id)

    assert row.score == b'{"id":"%s","value":1.50,"name":"x"}' % row.id.encode()


def test_a_row_keeps_its_own_id() -> None:
    [row] = rows_of([b'{"id": "mine"}'], random_id)

    assert row.id == "mine"


def test_a_line_that_is_no_object_is_a_row_without_a_score() -> None:
    rows = list(rows_of([b"nonsense", b"[1]"], random_id))

    assert [row.score for row in rows] == [None, None]
    assert all(row.fault for row in rows)


def test_batches_keep_the_order_and_the_rest() -> None:
    rows = [Row(line, str(line), b"{}") for line in range(1, 8)]

    assert [[row.line for row in batch] for batch in batches(rows, 3)] == [[1, 2, 3], [4, 5, 6], [7]]
