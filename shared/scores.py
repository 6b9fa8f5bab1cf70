"""What a score is: its fields, and the rules of shape that hold for every score whatever its project says (SPEC 3).

A score travels as the JSON its sender wrote, from the request through the queue into the worker, and is decoded at both
ends with the same types.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

TEXT_ID_LENGTH_MAX = 200
NAME_LENGTH_MAX = 100
CATEGORY_LENGTH_MAX = 500
COMMENT_LENGTH_MAX = 10_000
METADATA_BYTES_MAX = 16 * 1024
METADATA_DEPTH_MAX = 128  # every decoder on the way, and most of those of readers, goes deeper
# The JSON of one score, blanks and all. The largest that obeys every other limit has 160 kB: each of its characters is
# escaped, and 12 bytes long.
SCORE_BYTES_MAX = 192 * 1024
FUTURE_MAX = timedelta(minutes=5)
FIRST_MOMENT = datetime(1900, 1, 1, tzinfo=UTC)
EXPONENT_MAX = 99
DIGITS_MAX = 100
# Both begin with a digit, as a number does, and say so at once: that takes a third of the time of the two side by side.
_LIKE_A_HUGE_NUMBER = re.compile(rb"[0-9](?:[eE][+-]?[0-9]{3}|[0-9.]{100})")
NESTING = re.compile(
    rb'(?P<opened>[\[{]+)|(?P<closed>[\]}]+)|"(?:[^"\\]++|\\.)*+"?', re.DOTALL
)  # strings are passed over
ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # in JSON; not the text of a backslash and "u0000"
DEFAULT_ENVIRONMENT = "default"


class DataType(StrEnum):
    NUMERIC = "NUMERIC"
    CATEGORICAL = "CATEGORICAL"
    BOOLEAN = "BOOLEAN"


class Source(StrEnum):
    SDK = "SDK"
    HUMAN = "HUMAN"
    LLM_JUDGE = "LLM_JUDGE"
    EXTERNAL = "EXTERNAL"


TextId = Annotated[str, Meta(min_length=1, max_length=TEXT_ID_LENGTH_MAX)]
ScoreName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NAME_LENGTH_MAX,
        description="What is measured. Printable text without blanks at its ends; case is kept.",
    ),
]
ScoreValue = Annotated[
    bool | float | Annotated[str, Meta(min_length=1, max_length=CATEGORY_LENGTH_MAX)],
    Meta(description="Decides data_type: a number is NUMERIC, text is CATEGORICAL, true and false are BOOLEAN."),
]


class Score(Struct, forbid_unknown_fields=True, kw_only=True):
    """A score as it is sent. Exactly one target: `trace_id`, or `span_id` (with or without `trace_id`: together they
    mean that span), or `session_id`, or `user_id`. `name` may be left out only where `config_id` is given."""

    id: Annotated[TextId | None, Meta(description="Unique per project; sending it again replaces the score.")] = None
    name: ScoreName | None = None
    value: ScoreValue
    data_type: DataType | None = None
    trace_id: TextId | None = None
    span_id: TextId | None = None
    session_id: TextId | None = None
    user_id: TextId | None = None
    source: Source = Source.SDK
    author: Annotated[TextId | None, Meta(description="Who judged: a rater's name, a judge model.")] = None
    comment: Annotated[str, Meta(max_length=COMMENT_LENGTH_MAX)] | None = None
    metadata: Annotated[
        Raw | UnsetType,
        Meta(description="A JSON object of at most 16 KiB.", extra_json_schema={"type": ["object", "null"]}),
    ] = UNSET
    environment: Annotated[str, Meta(min_length=1, max_length=100)] = DEFAULT_ENVIRONMENT
    config_id: Annotated[UUID | None, Meta(description="The rule to obey; else the active config of that name.")] = None
    timestamp: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(description="When the judgement was made; at most 5 minutes ahead. Default: when it was received."),
    ] = None


class QueuedScore(Score, forbid_unknown_fields=False, kw_only=True):
    """A score as the worker reads it from the queue: a newer ingest may have put in fields that are not known here."""


class Misshapen(Struct, frozen=True):
    """Why a score is refused before any config is asked. `field` names the wire field, None the score as a whole."""

    code: str
    field: str | None
    detail: str


def data_type_of(value: bool | float | str) -> DataType:
    """The data type that a value has by itself. `True` is BOOLEAN, never the number 1."""
    return _DATA_TYPES[type(value)]


_DATA_TYPES: dict[type, DataType] = {
    bool: DataType.BOOLEAN,
    str: DataType.CATEGORICAL,
    float: DataType.NUMERIC,
    int: DataType.NUMERIC,
}


def misshapen(score: Score, now: datetime) -> Misshapen | None:
    """The first rule of shape that `score` breaks, beyond those its types carry, or None."""
    name = score.name
    if name is None:
        if score.config_id is None:
            return Misshapen("missing_field", "name", "name may be left out only where config_id is given")
    elif not name.isprintable() or name[0] == " " or name[-1] == " ":
        return Misshapen("invalid_name", "name", "a name is printable text without blanks at its ends")
    if (score.trace_id or score.span_id) is None or score.session_id is not None or score.user_id is not None:
        wrong_target = _target(score)
        if wrong_target is not None:
            return wrong_target
    if score.data_type is not None and score.data_type != data_type_of(score.value):
        detail = f"data_type is {score.data_type} but the value is {data_type_of(score.value)}"
        return Misshapen("data_type_mismatch", "data_type", detail)
    if score.metadata is not UNSET:
        wrong_metadata = _metadata(score.metadata)
        if wrong_metadata is not None:
            return wrong_metadata
    return None if score.timestamp is None else _timestamp(score.timestamp, now)


def _target(score: Score) -> Misshapen | None:
    given = sum(target is not None for target in (score.trace_id or score.span_id, score.session_id, score.user_id))
    if given == 1:
        return None
    if given == 0:
        return Misshapen("missing_target", None, "one of trace_id, span_id, session_id, user_id is needed")
    return Misshapen("several_targets", None, "a score has one target: a trace or span, a session, or a tracked user")


def _metadata(metadata: Raw) -> Misshapen | None:
    text = bytes(metadata)
    if len(text) > METADATA_BYTES_MAX:
        detail = f"metadata is {len(text)} bytes of JSON; {METADATA_BYTES_MAX} are allowed"
        return Misshapen("metadata_too_large", "metadata", detail)
    if text[0] not in b"{n":
        return Misshapen("wrong_type", "metadata", "metadata is a JSON object")
    if len(text) > 2 * METADATA_DEPTH_MAX and _depth(text) > METADATA_DEPTH_MAX:
        return Misshapen("nested_too_deeply", "metadata", f"metadata has at most {METADATA_DEPTH_MAX} levels")
    if _LIKE_A_HUGE_NUMBER.search(text) and _has_huge_number(text):
        detail = f"a number in metadata has an exponent beyond {EXPONENT_MAX} or more than {DIGITS_MAX} digits"
        return Misshapen("number_out_of_range", "metadata", detail)
    return None


def _depth(text: bytes) -> int:
    if text.count(b"{") + text.count(b"[") <= METADATA_DEPTH_MAX:
        return 1
    depth = deepest = 0
    for token in NESTING.finditer(text):
        depth += len(token["opened"] or b"") - len(token["closed"] or b"")
        deepest = max(depth, deepest)
    return deepest


def _has_huge_number(text: bytes) -> bool:
    """Postgres keeps numbers as decimals and writes out every digit: a few bytes could become a hundred kilobytes."""
    found: list[str] = []
    json.loads(text, parse_float=found.append, parse_int=found.append)
    return any(
        len(number) > DIGITS_MAX or abs(int(number.lower().partition("e")[2] or "0")) > EXPONENT_MAX for number in found
    )


def _timestamp(timestamp: datetime, now: datetime) -> Misshapen | None:
    if timestamp < FIRST_MOMENT:
        return Misshapen("timestamp_out_of_range", "timestamp", f"timestamps before {FIRST_MOMENT.year} are refused")
    if timestamp > now + FUTURE_MAX:
        return Misshapen("timestamp_in_future", "timestamp", "timestamp is more than 5 minutes ahead")
    return None
