"""Windows of time: which rollup buckets cover one, and the calendar buckets of a trend in a time zone. Pure."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

from shared.filters import Span

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
BUCKETS_MAX = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Granularity(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Cover(Struct, frozen=True):
    """A window cut into what each source answers: whole UTC days, whole quarters of an hour, rows at ragged ends."""

    days: tuple[Span, ...]
    quarters: tuple[Span, ...]
    rows: tuple[Span, ...]


def cover(window: Span, step: timedelta = DAY) -> Cover:
    """The coarsest cover of `window` whose pieces start and end at multiples of `step` or at the window's ends.

    `step` is what a trend's bucket bounds are multiples of: a piece never lies in two buckets.
    """
    window = Span(_utc(window.start), _utc(window.end))
    if step < QUARTER:
        return Cover((), (), _spans(window))
    inner = Span(_up(window.start, QUARTER), _down(window.end, QUARTER))
    if _is_empty(inner):
        return Cover((), (), _spans(window))
    rows = (*_edge(window.start, inner.start), *_edge(inner.end, window.end))
    whole = Span(_up(inner.start, DAY), _down(inner.end, DAY))
    if step < DAY or _is_empty(whole):
        return Cover((), (inner,), rows)
    quarters = (*_edge(inner.start, whole.start), *_edge(whole.end, inner.end))
    return Cover((whole,), quarters, rows)


def _utc(moment: datetime | None) -> datetime | None:
    """Arithmetic on a moment in a time zone is arithmetic on its wall clock; in UTC it is on real time."""
    return None if moment is None else moment.astimezone(UTC)


def _spans(span: Span) -> tuple[Span, ...]:
    return () if _is_empty(span) else (span,)


def _edge(start: datetime | None, end: datetime | None) -> tuple[Span, ...]:
    """The piece between a window's end and the cover inside; there is none at an open end."""
    return () if start is None or end is None else _spans(Span(start, end))


def _is_empty(span: Span) -> bool:
    return span.start is not None and span.end is not None and span.start >= span.end


def _down(moment: datetime | None, step: timedelta) -> datetime | None:
    return None if moment is None else moment - (moment - _EPOCH) % step


def _up(moment: datetime | None, step: timedelta) -> datetime | None:
    return None if moment is None else moment + (_EPOCH - moment) % step


def step_of(bounds: list[datetime]) -> timedelta:
    """The coarsest of a UTC day, a quarter of an hour and nothing of which all inner bounds are multiples."""
    for step in (DAY, QUARTER):
        if all((bound - _EPOCH) % step == timedelta(0) for bound in bounds):
            return step
    return timedelta(0)


def bucket_bounds(start: datetime, end: datetime, granularity: Granularity, tz: ZoneInfo) -> list[datetime]:
    """The bounds of the calendar buckets that [start, end) touches, ascending, one more than there are buckets.

    An hour is 60 minutes of real time; days, weeks (from Monday) and months are the calendar's of `tz`, so the days on
    which the clocks change have 23 and 25 hours. Raises `ValueError` for more than `BUCKETS_MAX` buckets.
    """
    if granularity is Granularity.HOUR:
        return _hours(start, end, tz)
    end = end.astimezone(UTC)
    bounds = [_midnight(_first_day(start.astimezone(tz).date(), granularity), tz)]
    while bounds[-1] < end:
        if len(bounds) > BUCKETS_MAX:
            raise ValueError(f"more than {BUCKETS_MAX} buckets")
        bounds.append(_midnight(_next_day(bounds[-1].date(), granularity), tz))
    return bounds


def _hours(start: datetime, end: datetime, tz: ZoneInfo) -> list[datetime]:
    local = start.astimezone(tz)
    into_hour = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    first = start.astimezone(UTC) - into_hour
    count = -((first - end) // timedelta(hours=1))
    if count > BUCKETS_MAX:
        raise ValueError(f"more than {BUCKETS_MAX} buckets")
    return [(first + timedelta(hours=n)).astimezone(tz) for n in range(count + 1)]


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    """The first moment of `day`. Where the clocks skip midnight, `fold=0` names the very moment of the change."""
    return datetime(day.year, day.month, day.day, tzinfo=tz)


def _first_day(day: date, granularity: Granularity) -> date:
    match granularity:
        case Granularity.WEEK:
            return day - timedelta(days=day.weekday())
        case Granularity.MONTH:
            return day.replace(day=1)
        case _:
            return day


def _next_day(day: date, granularity: Granularity) -> date:
    match granularity:
        case Granularity.WEEK:
            return day + timedelta(days=7)
        case Granularity.MONTH:
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        case _:
            return day + timedelta(days=1)
