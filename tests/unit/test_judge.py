"""The scores of a batch become rows to store or rejections to keep."""

from datetime import timedelta
from typing import Any

import pytest

from services.worker.judge import REJECTION_COLUMNS, ROW_COLUMNS, judge
from tests.builders import a_score
from tests.unit.making import CONFIG, NOW, OTHER_PROJECT, PROJECT, a_batch, a_config, rules

NO_RULES = {PROJECT: rules()}
RULES = {PROJECT: rules(a_config(version=3))}


def row_of(score: dict[str, Any], **batch: Any) -> dict[str, Any]:
    [candidate], _ = judge([a_batch(score, **batch)], NO_RULES)
    return dict(zip(ROW_COLUMNS, candidate.row, strict=True))


def rejection_row_of(*scores: dict[str, Any], **batch: Any) -> dict[str, Any]:
    _, [rejection] = judge([a_batch(*scores, **batch)], RULES)
    return dict(zip(REJECTION_COLUMNS, rejection.row(), strict=True))


@pytest.mark.parametrize(
    ("value", "data_type", "typed"),
    [
        (0.5, "NUMERIC", (0.5, None, None)), (0, "NUMERIC", (0, None, None)), ("x", "CATEGORICAL", (None, "x", None)),
        (True, "BOOLEAN", (None, None, True)), (False, "BOOLEAN", (None, None, False)),
    ],
)  # fmt: skip
def test_the_value_stands_in_the_column_of_its_type_alone(value: Any, data_type: str, typed: tuple[Any, ...]) -> None:
    row = row_of(a_score(value=value))

    assert row["data_type"] == data_type
    assert (row["numeric_value"], row["categorical_value"], row["boolean_value"]) == typed


def test_a_score_is_said_to_be_made_when_it_was_received_unless_it_says_when() -> None:
    assert row_of(a_score())["scored_at"] == NOW
    assert row_of(a_score(timestamp="2025-01-01T02:00:00+02:00"))["scored_at"] == NOW.replace(month=1, day=1, hour=0)


@pytest.mark.parametrize(("given", "stored"), [({}, None), ({"metadata": None}, None), ({"metadata": {}}, "{}")])
def test_no_metadata_and_null_are_the_same(given: dict[str, Any], stored: str | None) -> None:
    assert row_of(a_score(**given))["metadata"] == stored


def test_metadata_is_passed_on_as_it_was_written() -> None:
    row = row_of(a_score(), scores=b'[{"trace_id":"t","name":"n","value":1,"metadata":{"a" : 1.50,"\xc3\xbc":[]}}]')

    assert row["metadata"] == '{"a" : 1.50,"ü":[]}'


def test_a_row_has_the_version_of_its_entry() -> None:
    earlier, later = row_of(a_score(), entry_id="1000-9"), row_of(a_score(), entry_id="1001-0")

    assert earlier["version"] < later["version"]


def test_a_row_names_the_config_that_judged_it() -> None:
    [candidate], _ = judge([a_batch(a_score(value=1))], RULES)

    row = dict(zip(ROW_COLUMNS, candidate.row, strict=True))
    assert (row["config_id"], row["config_version"], row["violation"]) == (CONFIG, 3, None)


def test_good_and_bad_scores_of_a_batch_are_parted() -> None:
    candidates, rejections = judge([a_batch(a_score(id="a"), a_score(id="b", value=2), a_score(id="c"))], RULES)

    assert [candidate.key for candidate in candidates] == [(str(PROJECT), "a"), (str(PROJECT), "c")]
    assert [(rejection.at, rejection.verdict.code) for rejection in rejections] == [(1, "above_maximum")]


def test_batches_are_judged_in_the_order_of_their_versions() -> None:
    batches = [a_batch(a_score(id=entry_id), entry_id=entry_id) for entry_id in ("9-1", "10-0", "9-0")]

    candidates, _ = judge(batches, NO_RULES)

    assert [candidate.row[1] for candidate in candidates] == ["9-0", "9-1", "10-0"]


def test_each_project_is_judged_by_its_own_rules() -> None:
    batches = [a_batch(a_score(value=2)), a_batch(a_score(value=2), project_id=OTHER_PROJECT)]

    candidates, rejections = judge(batches, RULES | {OTHER_PROJECT: rules()})

    assert [candidate.key[0] for candidate in candidates] == [str(OTHER_PROJECT)]
    assert [rejection.batch.project_id for rejection in rejections] == [PROJECT]


def test_scores_of_a_project_that_is_gone_are_rejected_and_kept() -> None:
    candidates, rejections = judge([a_batch(a_score(), a_score())], {})

    assert candidates == []
    assert [rejection.verdict.code for rejection in rejections] == ["unknown_project"] * 2


def test_a_rejection_keeps_the_whole_original_and_its_place() -> None:
    row = rejection_row_of(a_score(), a_score(), indexes=[4, 9], scores=b'[{"trace_id":"t","value":0,"name":"x"}, {"trace_id":"t","name":"relevance","value" : 2}]')  # fmt: skip # noqa: E501

    assert row["original"] == '{"trace_id":"t","name":"relevance","value" : 2}'
    assert (row["index"], row["score_id"], row["name"], row["config_version"]) == (9, "made-1", "relevance", 3)


def test_a_rejection_knows_its_request_batch_and_time() -> None:
    row = rejection_row_of(a_score(value=2), stream=4, received_at=NOW - timedelta(hours=1))

    assert (row["request_id"], row["batch_id"]) == ("r1", "1000-0-4")
    assert row["received_at"] == NOW - timedelta(hours=1)
