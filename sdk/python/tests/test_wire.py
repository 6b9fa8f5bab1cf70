"""One score as JSON: what is taken, what stands for something else, what is refused and with which word."""

import enum
import json
import math
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from assay import Client, ConfigurationError, InvalidScore
from assay.wire import encode_score, stamp, without_stamp

GOOD = {"trace_id": "t1", "name": "relevance", "value": 0.5}


def wire(**fields: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(encode_score({**GOOD, **fields}))
    return decoded


class Verdict(str, enum.Enum):
    SAFE = "safe"


class NumpyLike:
    """A scalar of another library."""

    ndim = 0

    def __init__(self, value: Any) -> None:
        self._value = value

    def item(self) -> Any:
        return self._value


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (0.1, 0.1),
        (1, 1),
        (True, True),
        (False, False),
        ("safe", "safe"),
        (0, 0),
        (0.0, 0.0),
        (Verdict.SAFE, "safe"),
        (Decimal("0.25"), 0.25),
        (NumpyLike(0.5), 0.5),
        (NumpyLike(True), True),
        (10**400 // 10**100, 10**300),
    ],
)
def test_a_value_is_sent_as_what_it_stands_for(value: Any, sent: Any) -> None:
    found = wire(value=value)["value"]

    assert found == sent
    assert type(found) is type(sent)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"value": None}, "null_value"),
        ({"value": math.nan}, "number_out_of_range"),
        ({"value": math.inf}, "number_out_of_range"),
        ({"value": 10**400}, "number_out_of_range"),
        ({"value": [1]}, "wrong_type"),
        ({"value": ""}, "too_short"),
        ({"value": "x" * 501}, "too_long"),
        ({"name": None}, "missing_field"),
        ({"name": "x" * 101}, "too_long"),
        ({"name": 7}, "wrong_type"),
        ({"trace_id": None}, "missing_target"),
        ({"trace_id": ""}, "too_short"),
        ({"user_id": "u1"}, "several_targets"),
        ({"source": "ROBOT"}, "unknown_word"),
        ({"metadata": [1]}, "wrong_type"),
        ({"comment": "x" * 10_001}, "too_long"),
        ({"timestamp": object()}, "invalid_timestamp"),
    ],
)
def test_what_can_not_be_a_score_is_refused_with_the_servers_word(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidScore) as refused:
        wire(**fields)

    assert refused.value.code == code


def test_a_span_may_come_with_its_trace() -> None:
    assert wire(span_id="s1")["span_id"] == "s1"


def test_metadata_holds_what_json_has_no_type_for() -> None:
    moment = datetime(2025, 3, 1, tzinfo=timezone.utc)
    metadata = {
        "at": moment,
        "tags": {"b", "a"},
        "cost": Decimal("0.5"),
        "loss": math.nan,
        "nested": {"list": [math.inf]},
    }

    assert wire(metadata=metadata)["metadata"] == {
        "at": "2025-03-01T00:00:00+00:00",
        "tags": ["a", "b"],
        "cost": 0.5,
        "loss": None,
        "nested": {"list": [None]},
    }


def test_metadata_that_holds_itself_is_refused() -> None:
    metadata: dict[str, Any] = {}
    metadata["self"] = metadata

    with pytest.raises(InvalidScore):
        wire(metadata=metadata)


def test_half_a_character_becomes_a_replacement() -> None:
    assert "good" in wire(comment="good \ud83d")["comment"]


def test_a_time_is_sent_with_its_offset() -> None:
    moment = datetime(2025, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert wire(timestamp=moment)["timestamp"] == "2025-03-01T06:30:00+00:00"
    assert wire(timestamp=0)["timestamp"] == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize("seconds", [0.0, 0.999999, 1_700_000_000.5, 4_102_444_799.999])
def test_the_stamp_is_that_of_datetime(seconds: float) -> None:
    stamped = datetime.fromisoformat(stamp(seconds).replace("Z", "+00:00"))

    assert abs(stamped.timestamp() - seconds) < 1e-5


def test_only_our_own_stamp_can_be_taken_off() -> None:
    assert b"timestamp" not in (without_stamp(encode_score(dict(GOOD))) or b"timestamp")
    assert without_stamp(encode_score({**GOOD, "timestamp": "2025-03-01T10:00:00Z"})) is None


def test_later_changes_of_the_metadata_are_not_sent() -> None:
    metadata = {"release": "v2"}
    item = encode_score({**GOOD, "metadata": metadata})
    metadata["release"] = "v3"

    assert json.loads(item)["metadata"] == {"release": "v2"}


def test_a_strict_client_raises_at_the_call_and_others_never_do() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    strict = Client(api_key="k", enabled=False, strict=True)
    lenient = Client(api_key="k", enabled=False)

    with pytest.raises(InvalidScore):
        strict.score("relevance", None, trace_id="t1")
    assert lenient.score("relevance", None, trace_id="t1")
    assert lenient.score("relevance", 0.5, trace_id="t1", metadata={"a": Broken()})
    assert lenient.counters().rejected_because == {"null_value": 1, "malformed": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 0},
        {"batch_size": 1001},
        {"when_full": "explode"},
        {"ingest_url": "ftp://x"},
        {"unheard_of": 1},
        {"api_key": "a\nb"},
        {"api_key": 5},
        {"batch_size": "5"},
        {"batch_size": 1.5},
        {"timeout_seconds": "5"},
    ],
)
def test_a_setting_that_can_not_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Client(**{"api_key": "k", **settings})
