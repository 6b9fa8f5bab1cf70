"""Windows of time: which rollup buckets cover one, and the calendar buckets of a trend in a time zone. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
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
    """How long a rollup bucket is: a month, a day or an hour in UTC, or a quarter of an hour."""

    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    QUARTER = "quarter"


WIDTHS = tuple(Width)  # from the coarsest to the finest
_LENGTHS = {Width.DAY: timedelta(days=1), Width.HOUR: timedelta(hours=1), Width.QUARTER: timedelta(minutes=15)}


class Piece(Struct, frozen=True):
    """A part of a window, and which rollups answer it: whole buckets of them. None: rows.

    With `at` it counts there and not at its own time; with a `sign` of -1 it is taken away there."""

    width: Width | None
    span: Span
    at: datetime | None = None
    sign: int = 1


def cover(window: Span, bounds: Sequence[datetime] = ()) -> tuple[Piece, ...]:
    """The window in pieces, in order, each of the coarsest width that fits. `bounds` are those of a trend's buckets,
    ascending: no rollup lies in two of them."""
    cuts = [bound.astimezone(UTC) for bound in bounds]
    return _cover(Span(_utc(window.start), _utc(window.end)), cuts, WIDTHS)


def cover_by_difference(window: Span, bounds: Sequence[datetime]) -> tuple[Piece, ...]:
    """As `cover`, of a window with two ends, with fewer rollups: a day inside which there is one bound is the whole day
    for the longer side of it, less what lies on the shorter side. For counts: an extreme can't be taken away."""
    cuts = [bound.astimezone(UTC) for bound in bounds]
    start, end = _utc(window.start), _utc(window.end)
    pieces: list[Piece] = []
    for day, cut in _days_cut_once(Span(start, end), cuts):
        pieces += (*_gap(start, day, cuts, WIDTHS), *_difference(day, cut))
        start = _next(day, Width.DAY)
    return (*pieces, *_gap(start, end, cuts, WIDTHS))


def _days_cut_once(window: Span, cuts: Sequence[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Each whole day inside which there is just one cut, and that cut."""
    whole = Span(_up(window.start, Width.DAY), _down(window.end, Width.DAY))
    for day, of_day in groupby(_within(whole, cuts), key=lambda cut: _start(cut, Width.DAY)):
        inside = [cut for cut in of_day if cut != day]
        if len(inside) == 1:
            yield day, inside[0]


def _difference(day: datetime, cut: datetime) -> Iterator[Piece]:
    end = _next(day, Width.DAY)
    shorter, longer = Span(day, cut), Span(cut, end)
    if cut - day > end - cut:
        shorter, longer = longer, shorter
    yield Piece(Width.DAY, Span(day, end), at=longer.start)
    for piece in _cover(shorter, (), (Width.HOUR, Width.QUARTER)):
        yield piece
        yield Piece(piece.width, piece.span, at=longer.start, sign=-1)


def _cover(window: Span, cuts: Sequence[datetime], widths: tuple[Width, ...]) -> tuple[Piece, ...]:
    if _is_empty(window):
        return ()
    if not widths:
        return (Piece(None, window),)
    width, finer = widths[0], widths[1:]
    cuts = _within(window, cuts)
    pieces: list[Piece] = []
    start = window.start
    for span in _uncut(Span(_up(window.start, width), _down(window.end, width)), cuts, width):
        pieces += (*_gap(start, span.start, cuts, finer), Piece(width, span))
        start = span.end
    if not pieces:
        return _cover(window, cuts, finer)
    return (*pieces, *_gap(start, window.end, cuts, finer))


def _uncut(whole: Span, cuts: Sequence[datetime], width: Width) -> list[Span]:
    """What is left of whole buckets without those inside which there is a cut."""
    spans, start = [], whole.start
    for cut in _within(whole, cuts):
        if start is not None and cut < start:  # in the bucket of the cut before
            continue
        torn = _start(cut, width)
        if torn != cut:
            spans.append(Span(start, torn))
            start = _next(torn, width)
    spans.append(Span(start, whole.end))
    return [span for span in spans if not _is_empty(span)]


def _within(span: Span, cuts: Sequence[datetime]) -> Sequence[datetime]:
    first = 0 if span.start is None else bisect_right(cuts, span.start)
    last = len(cuts) if span.end is None else bisect_left(cuts, span.end)
    return cuts[first:last]


def _gap(
    start: datetime | None, end: datetime | None, cuts: Sequence[datetime], widths: tuple[Width, ...]
) -> tuple[Piece, ...]:
    """What lies before, between or after whole buckets; at an open end nothing does."""
    return () if start is None or end is None else _cover(Span(start, end), cuts, widths)


def _utc(moment: datetime | None) -> datetime | None:
    """Arithmetic on a moment in a time zone is arithmetic on its wall clock; in UTC it is on real time."""
    return None if moment is None else moment.astimezone(UTC)


def _is_empty(span: Span) -> bool:
    return span.start is not None and span.end is not None and span.start >= span.end


def _down(moment: datetime | None, width: Width) -> datetime | None:
    return None if moment is None else _start(moment, width)


def _up(moment: datetime | None, width: Width) -> datetime | None:
    """The first start of a bucket that is not before the moment."""
    if moment is None or _start(moment, width) == moment:
        return moment
    return _next(_start(moment, width), width)


def _start(moment: datetime, width: Width) -> datetime:
    """Of the bucket in which a moment in UTC lies."""
    if width is Width.MONTH:
        return datetime(moment.year, moment.month, 1, tzinfo=UTC)
    return moment - (moment - _EPOCH) % _LENGTHS[width]


def _next(start: datetime, width: Width) -> datetime:
    """The start of the bucket after the one that starts then."""
    if width is Width.MONTH:
        return _start(start + timedelta(days=32), width)
    return start + _LENGTHS[width]


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
