"""The rules of shape that a score's types can't carry."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from shared.scores import QueuedScore, Score, Source, data_type_of, misshapen
from tests.unit.making import NOW, the_score


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        (True, "BOOLEAN"),
        (False, "BOOLEAN"),
        (1, "NUMERIC"),
        (0.0, "NUMERIC"),
        ("true", "CATEGORICAL"),
        ("", "CATEGORICAL"),
    ],
)
def test_the_value_decides_the_data_type_and_true_is_never_1(value: Any, data_type: str) -> None:
    assert data_type_of(value) == data_type


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", 1.0), ("1.0", 1.0), ('"1"', "1")])
def test_a_value_keeps_its_type_on_the_wire(text: str, value: object) -> None:
    score = msgspec.json.decode(b'{"value":' + text.encode() + b"}", type=Score)

    assert score.value == value
    assert type(score.value) is type(value)


def test_what_is_left_out_has_its_default() -> None:
    score = the_score()

    assert (score.source, score.environment, score.timestamp, score.data_type) == (Source.SDK, "default", None, None)


def test_a_good_score_is_not_misshapen() -> None:
    assert misshapen(the_score(), NOW) is None


@pytest.mark.parametrize("hours", [-12, 0, 5.5, 14])
def test_the_future_begins_at_the_same_instant_in_every_offset(hours: float) -> None:
    limit = (NOW + timedelta(minutes=5)).astimezone(timezone(timedelta(hours=hours)))

    assert misshapen(the_score(timestamp=limit), NOW) is None
    late = misshapen(the_score(timestamp=limit + timedelta(microseconds=1)), NOW)
    assert late is not None
    assert late.code == "timestamp_in_future"


def test_the_first_year_begins_at_the_same_instant_in_every_offset() -> None:
    before = datetime(1899, 12, 31, 23, tzinfo=UTC).astimezone(timezone(timedelta(hours=2)))

    wrong = misshapen(the_score(timestamp=before), NOW)

    assert wrong is not None
    assert wrong.code == "timestamp_out_of_range"


def test_the_worker_ignores_fields_of_a_newer_ingest() -> None:
    score = msgspec.json.decode(b'{"trace_id":"t","name":"n","value":1,"novelty":[1]}', type=QueuedScore)

    assert score.value == 1.0
