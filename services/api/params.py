"""Turn a query string into filters, windows and pages. Every fault is a `Malformed` that names its parameter. Pure."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import isfinite
from typing import Annotated, Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from services.api.windows import Granularity
from shared.errors import Malformed
from shared.filters import VALUES_PER_FILTER_MAX, YEAR_MAX, YEAR_MIN, ScoreFilters
from shared.http.endpoint import Parameter
from shared.scores import DataType, Source

TEXT_LENGTH_MAX = 500
CURSOR_LENGTH_MAX = 2000
NUMBERS_LENGTH_MAX = 25_000
METADATA_PREFIX = "metadata."
GROUP_BY_MAX = 4
GROUP_COLUMNS = ("source", "environment", "author")

T = TypeVar("T")

Pairs = Sequence[tuple[str, str]]
"""The query string as it came: a name may come several times."""

_TEXTS = ("trace_id", "span_id", "session_id", "user_id", "name", "environment", "author", "value")

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_Moment = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]

FILTER_PARAMETERS = (
    *(Parameter(name, Text, f"Only scores with this {name}.", repeatable=True) for name in _TEXTS),
    Parameter("source", Source, "Only scores of this source.", repeatable=True),
    Parameter("data_type", DataType, "Only scores of this data type.", repeatable=True),
    Parameter("config_id", UUID, "Only scores that this config judged.", repeatable=True),
    Parameter("author_id", UUID, "Only scores annotated by this member.", repeatable=True),
    Parameter("min_value", float, "Only numeric values from here on."),
    Parameter("max_value", float, "Only numeric values up to here."),
    Parameter("from", datetime, "Only scores made at this time or later (RFC 3339 with offset)."),
    Parameter("to", datetime, "Only scores made before this time (RFC 3339 with offset)."),
    Parameter("received_from", datetime, "Only scores received at this time or later (RFC 3339 with offset)."),
)


class Query:
    """The parameters of one request, each taken out once; what is left over at the end was not understood."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if "\x00" in value or "\x00" in name:
                raise _fault(name.replace("\x00", "�"), "holds a NUL character")
            self._values.setdefault(name, []).append(value)

    def all(self, name: str, length_max: int = TEXT_LENGTH_MAX) -> list[str]:
        values = self._values.pop(name, [])
        if len(values) > VALUES_PER_FILTER_MAX:
            raise _fault(name, f"is given {len(values)} times; {VALUES_PER_FILTER_MAX} are allowed")
        if any(len(value) > length_max for value in values):
            raise _fault(name, f"is longer than {length_max} characters")
        return values

    def one(self, name: str, length_max: int = TEXT_LENGTH_MAX) -> str | None:
        values = self.all(name, length_max)
        if len(values) > 1:
            raise _fault(name, "is given more than once")
        return values[0] if values else None

    def cursor(self) -> str | None:
        return self.one("cursor", CURSOR_LENGTH_MAX)

    def prefixed(self, prefix: str) -> list[str]:
        names = [name for name in self._values if name.startswith(prefix) and len(name) > len(prefix)]
        if len(names) > VALUES_PER_FILTER_MAX:
            raise _fault(f"{prefix}…", f"is given with {len(names)} keys; {VALUES_PER_FILTER_MAX} are allowed")
        return names

    def done(self) -> None:
        """Raises `Malformed` for a parameter that nobody asked for: a filter with a typo must not be ignored."""
        for name in self._values:
            raise Malformed(f"There is no parameter {name[:100]!r} here.", code="unknown_parameter", pointer=name[:100])

    def whole_number(self, name: str, low: int, high: int, default: int) -> int:
        text = self.one(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 10 or not low <= int(text) <= high:
            raise _fault(name, f"is a whole number from {low} to {high}")
        return int(text)

    def number(self, name: str) -> float | None:
        text = self.one(name)
        return None if text is None else _number(name, text)

    def flag(self, name: str, *, default: bool) -> bool:
        text = self.one(name)
        if text not in (None, "true", "false"):
            raise _fault(name, "is true or false")
        return default if text is None else text == "true"

    def word(self, name: str, words: type[T], default: T) -> T:
        text = self.one(name)
        return default if text is None else _converted(name, text, words)

    def words(self, name: str, kind: type[T]) -> tuple[T, ...]:
        return tuple(_converted(name, text, kind) for text in self.all(name))

    def moment(self, name: str) -> datetime | None:
        text = self.one(name)
        if text is None:
            return None
        # A "+" that was not percent-encoded arrives as a blank.
        moment: datetime = _converted(name, text.replace(" ", "+"), _Moment)
        if not YEAR_MIN <= moment.year <= YEAR_MAX:
            raise _fault(name, f"lies between the years {YEAR_MIN} and {YEAR_MAX}")
        return moment


def _fault(name: str, what: str) -> Malformed:
    return Malformed(f"{name[:100]} {what}.", code="invalid_parameter", pointer=name[:100])


def _number(name: str, text: str) -> float:
    number = float(text) if _JSON_NUMBER.fullmatch(text) else float("nan")
    if not isfinite(number):
        raise _fault(name, "is a finite number, written as in JSON")
    return number


def _converted(name: str, text: str, kind: type[T]) -> T:
    try:
        converted: T = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _fault(name, f"can't be {text[:100]!r}: {error}") from error
    return converted


def score_filters(query: Query) -> ScoreFilters:
    """The filters of SPEC 8. Raises `Malformed`."""
    texts: dict[str, Any] = {name: tuple(query.all(name)) for name in _TEXTS}
    start, end = window(query)
    return ScoreFilters(
        **texts,
        source=query.words("source", Source),
        data_type=query.words("data_type", DataType),
        config_id=query.words("config_id", UUID),
        author_id=query.words("author_id", UUID),
        min_value=query.number("min_value"),
        max_value=query.number("max_value"),
        metadata={
            name.removeprefix(METADATA_PREFIX): tuple(query.all(name)) for name in query.prefixed(METADATA_PREFIX)
        },
        start=start,
        end=end,
        received_from=query.moment("received_from"),
    )


def window(query: Query) -> tuple[datetime | None, datetime | None]:
    start, end = query.moment("from"), query.moment("to")
    if start is not None and end is not None and start >= end:
        raise _fault("from", "must be before to")
    return start, end


def group_by(query: Query, groups_max: int = GROUP_BY_MAX) -> tuple[str, ...]:
    """The dimensions to group by: source, environment, author, metadata.<key>; several by comma or by repetition."""
    dimensions = [part for text in query.all("group_by") for part in text.split(",") if part]
    for dimension in dimensions:
        key = dimension.removeprefix(METADATA_PREFIX)
        if dimension not in GROUP_COLUMNS and (key == dimension or not key):
            raise _fault("group_by", f"can't be {dimension[:100]!r}: source, environment, author or metadata.<key>")
    if len(dimensions) > groups_max or len(set(dimensions)) < len(dimensions):
        raise _fault("group_by", f"takes at most {groups_max} different dimensions")
    return tuple(dimensions)


def zone(query: Query) -> ZoneInfo:
    name = query.one("timezone") or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _fault("timezone", f"can't be {name[:100]!r}: it is an IANA name such as Asia/Kolkata") from error


def granularity(query: Query) -> Granularity:
    return query.word("granularity", Granularity, Granularity.DAY)


def numbers(query: Query, name: str, count_max: int) -> tuple[float, ...]:
    """A list of numbers by comma, strictly ascending."""
    texts = [part for text in query.all(name, NUMBERS_LENGTH_MAX) for part in text.split(",") if part]
    found = tuple(_number(name, text) for text in texts)
    if len(found) > count_max:
        raise _fault(name, f"takes at most {count_max} numbers")
    if any(left >= right for left, right in pairwise(found)):
        raise _fault(name, "must ascend")
    return found


def days_before(moment: datetime, days: int, tz: ZoneInfo) -> datetime:
    """Midnight in `tz` so that the window up to `moment` spans `days` calendar days, today included."""
    first_day = moment.astimezone(tz).date() - timedelta(days=days - 1)
    return datetime(first_day.year, first_day.month, first_day.day, tzinfo=tz)
