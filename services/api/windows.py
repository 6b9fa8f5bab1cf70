"""Windows of time: which rollup buckets cover one, and the calendar buckets of a trend in a time zone. Pure."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

from shared.filters import Span

BUCKETS_MAX = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Granularity(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Width(StrEnum):
    """How long a rollup bucket is: a month or a day in UTC, or a quarter of an hour."""

    MONTH = "month"
    DAY = "day"
    QUARTER = "quarter"


WIDTHS = tuple(Width)  # from the coarsest to the finest
_LENGTHS = {Width.DAY: timedelta(days=1), Width.QUARTER: timedelta(minutes=15)}


class Piece(Struct, frozen=True):
    """A part of a window, and which rollups answer it: whole buckets of them. None: rows."""

    width: Width | None
    span: Span


def cover(window: Span, coarsest: Width | None = Width.MONTH) -> tuple[Piece, ...]:
    """The window in pieces, in order, each of the coarsest width that fits and is not coarser than `coarsest`: what a
    trend's bucket bounds are starts of (see `coarsest_of`), so that no rollup lies in two of its buckets."""
    widths = () if coarsest is None else WIDTHS[WIDTHS.index(coarsest) :]
    return _cover(Span(_utc(window.start), _utc(window.end)), widths)


def _cover(window: Span, widths: tuple[Width, ...]) -> tuple[Piece, ...]:
    if _is_empty(window):
        return ()
    if not widths:
        return (Piece(None, window),)
    width, finer = widths[0], widths[1:]
    whole = Span(_up(window.start, width), _down(window.end, width))
    if _is_empty(whole):
        return _cover(window, finer)
    return (*_edge(window.start, whole.start, finer), Piece(width, whole), *_edge(whole.end, window.end, finer))


def _edge(start: datetime | None, end: datetime | None, widths: tuple[Width, ...]) -> tuple[Piece, ...]:
    """What lies between a window's end and the whole buckets inside; nothing does at an open end."""
    return () if start is None or end is None else _cover(Span(start, end), widths)


def _utc(moment: datetime | None) -> datetime | None:
    """Arithmetic on a moment in a time zone is arithmetic on its wall clock; in UTC it is on real time."""
    return None if moment is None else moment.astimezone(UTC)


def _is_empty(span: Span) -> bool:
    return span.start is not None and span.end is not None and span.start >= span.end


def _down(moment: datetime | None, width: Width) -> datetime | None:
    """The start of the bucket in which a moment in UTC lies."""
    if moment is None:
        return None
    if width is Width.MONTH:
        return datetime(moment.year, moment.month, 1, tzinfo=UTC)
    return moment - (moment - _EPOCH) % _LENGTHS[width]


def _up(moment: datetime | None, width: Width) -> datetime | None:
    """The first start of a bucket that is not before the moment."""
    start = _down(moment, width)
    if moment is None or start is None or start == moment:
        return moment
    if width is Width.MONTH:
        return _down(start + timedelta(days=32), width)
    return start + _LENGTHS[width]


def coarsest_of(bounds: list[datetime]) -> Width | None:
    """The coarsest width of whose buckets all inner bounds of a trend are starts."""
    moments = [bound.astimezone(UTC) for bound in bounds]
    return next((width for width in WIDTHS if all(_down(moment, width) == moment for moment in moments)), None)


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
