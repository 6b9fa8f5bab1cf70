"""Laws of a cover: its pieces are disjoint, aligned, and together they are the window."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from services.api.windows import WIDTHS, Granularity, Piece, Width, bucket_bounds, coarsest_of, cover
from shared.filters import Span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

ZONES = [
    "UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "America/New_York", "Europe/Berlin", "Europe/Dublin",
    "Australia/Lord_Howe", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Africa/Casablanca", "Pacific/Apia",
    "Pacific/Kiritimati", "Antarctica/Troll", "Africa/Monrovia",
]  # fmt: skip
QUARTER, LONGEST_MONTH, DAY = timedelta(minutes=15), timedelta(days=31), timedelta(days=1)
widths = st.sampled_from([*Width, None])
zones = st.sampled_from(ZONES).map(ZoneInfo)
any_moments = st.datetimes(datetime(1901, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
round_moments = st.builds(
    lambda quarters, micros: EPOCH + quarters * QUARTER + timedelta(microseconds=micros),
    st.integers(-3000, 80_000),
    st.sampled_from([0, 0, 0, 1, -1, 60_000_000]),
)
moments = round_moments | any_moments


def windows(ends: st.SearchStrategy[datetime]) -> st.SearchStrategy[Span]:
    between = st.tuples(ends, ends).map(lambda two: Span(min(two), max(two)))
    return between | ends.map(lambda end: Span(None, end)) | ends.map(lambda start: Span(start, None))


def closed(span: Span) -> tuple[datetime, datetime]:
    return span.start or FIRST, span.end or LAST


def is_start(moment: datetime, width: Width) -> bool:
    match width:
        case Width.MONTH:
            return moment == datetime(moment.year, moment.month, 1, tzinfo=UTC)
        case Width.DAY:
            return (moment - EPOCH) % DAY == timedelta(0)
    return (moment - EPOCH) % QUARTER == timedelta(0)


def length(pieces: tuple[Piece, ...], width: Width | None) -> timedelta:
    spans = [closed(piece.span) for piece in pieces if piece.width is width]
    return sum((end - start for start, end in spans), timedelta(0))


@given(windows(moments) | st.just(Span(None, None)), widths)
def test_the_pieces_are_disjoint_and_together_they_are_the_window(window: Span, coarsest: Width | None) -> None:
    pieces = cover(window, coarsest)

    in_order = [closed(piece.span) for piece in pieces]
    assert all(start < end for start, end in in_order)
    assert all(left[1] == right[0] for left, right in pairwise(in_order))
    start, end = closed(window)
    assert ([in_order[0][0], in_order[-1][1]] if in_order else []) == ([start, end] if start < end else [])


@given(windows(moments), st.sampled_from(Width))
def test_the_pieces_of_rollups_begin_and_end_with_their_buckets(window: Span, coarsest: Width) -> None:
    for piece in cover(window, coarsest):
        if piece.width is not None:
            ends = [end for end in (piece.span.start, piece.span.end) if end is not None]
            assert all(is_start(end, piece.width) for end in ends)
            assert WIDTHS.index(piece.width) >= WIDTHS.index(coarsest)


@given(windows(moments))
def test_only_what_is_shorter_than_a_bucket_is_answered_by_what_is_finer(window: Span) -> None:
    pieces = cover(window)

    assert length(pieces, None) < 2 * QUARTER
    assert length(pieces, Width.QUARTER) < 2 * DAY
    assert length(pieces, Width.DAY) < 2 * LONGEST_MONTH


@given(moments, st.integers(1, 40 * 96), st.sampled_from(Granularity), zones)
def test_calendar_buckets_ascend_and_hold_the_window(
    start: datetime, quarters: int, granularity: Granularity, zone: ZoneInfo
) -> None:
    end = start + quarters * QUARTER

    bounds = [bound.astimezone(UTC) for bound in bucket_bounds(start, end, granularity, zone)]

    assert bounds == sorted(bounds)
    assert bounds[0] <= start < bounds[1] or bounds[0] == bounds[1]  # a calendar can lack a day
    assert bounds[-2] < end <= bounds[-1] or bounds[-2] == bounds[-1]


@given(moments, st.integers(1, 40), zones)
def test_each_moment_of_a_bucket_has_the_buckets_date(start: datetime, days: int, zone: ZoneInfo) -> None:
    bounds = bucket_bounds(start, start + timedelta(days=days), Granularity.DAY, zone)

    for left, right in pairwise(bounds):
        first, last = left.astimezone(UTC), right.astimezone(UTC) - timedelta(microseconds=1)
        if first <= last:
            assert {first.astimezone(zone).date(), last.astimezone(zone).date()} == {left.date()}


@given(moments, st.integers(1, 40), st.sampled_from(Granularity), zones)
def test_no_piece_of_a_cover_lies_in_two_buckets(
    start: datetime, days: int, granularity: Granularity, zone: ZoneInfo
) -> None:
    bounds = bucket_bounds(start, start + timedelta(days=days), granularity, zone)
    inner = bounds[1:-1]
    assume(inner)

    width = coarsest_of(inner)

    assert width is None or all(is_start(bound.astimezone(UTC), width) for bound in inner)
    coarser = WIDTHS if width is None else WIDTHS[: WIDTHS.index(width)]
    assert not any(all(is_start(bound.astimezone(UTC), one) for bound in inner) for one in coarser)
