"""Laws of a cover: its pieces are disjoint, aligned, and together they are the window."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from services.api.windows import WIDTHS, Granularity, Piece, Width, bucket_bounds, cover, cover_by_difference
from shared.filters import Span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

ZONES = [
    "UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "America/New_York", "Europe/Berlin", "Europe/Dublin",
    "Australia/Lord_Howe", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Africa/Casablanca", "Pacific/Apia",
    "Pacific/Kiritimati", "Antarctica/Troll", "Africa/Monrovia",
]  # fmt: skip
QUARTER, HOUR, LONGEST_MONTH, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=31), timedelta(days=1)
LENGTHS = {Width.DAY: DAY, Width.HOUR: HOUR, Width.QUARTER: QUARTER}
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


def bucket_of(moment: datetime, width: Width) -> tuple[datetime, datetime]:
    """Start and end of the rollup in which a moment lies."""
    if width is Width.MONTH:
        start = datetime(moment.year, moment.month, 1, tzinfo=UTC)
        return start, datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    start = moment - (moment - EPOCH) % LENGTHS[width]
    return start, start + LENGTHS[width]


def buckets_over(span: Span, width: Width) -> Iterator[tuple[datetime, datetime]]:
    """Those that a span with two ends touches."""
    moment, last = closed(span)
    while moment < last:
        bucket = bucket_of(moment, width)
        yield bucket
        moment = bucket[1]


def is_start(moment: datetime, width: Width) -> bool:
    return bucket_of(moment, width)[0] == moment


def length(pieces: tuple[Piece, ...], width: Width | None) -> timedelta:
    spans = [closed(piece.span) for piece in pieces if piece.width is width]
    return sum((end - start for start, end in spans), timedelta(0))


any_windows = windows(moments) | st.just(Span(None, None))
some_cuts = st.lists(moments, max_size=20).map(sorted)
trends = st.builds(
    lambda start, length, granularity, zone: (
        Span(start, start + length),
        in_utc(bucket_bounds(start, start + length, granularity, zone)),
    ),
    moments,
    st.integers(1, 40 * 96).map(lambda quarters: quarters * QUARTER + timedelta(seconds=quarters % 3)),
    st.sampled_from(Granularity),
    zones,
)
no_cuts: st.SearchStrategy[list[datetime]] = st.just([])
windows_and_cuts = st.tuples(any_windows, no_cuts) | st.tuples(any_windows, some_cuts) | trends


def in_utc(moments: list[datetime]) -> list[datetime]:
    return [moment.astimezone(UTC) for moment in moments]


@given(windows_and_cuts)
def test_the_pieces_are_disjoint_and_together_they_are_the_window(asked: tuple[Span, list[datetime]]) -> None:
    window, cuts = asked

    in_order = [closed(piece.span) for piece in cover(window, cuts)]

    assert all(start < end for start, end in in_order)
    assert all(left[1] == right[0] for left, right in pairwise(in_order))
    start, end = closed(window)
    assert ([in_order[0][0], in_order[-1][1]] if in_order else []) == ([start, end] if start < end else [])


@given(windows_and_cuts)
def test_the_pieces_of_rollups_begin_and_end_with_their_buckets(asked: tuple[Span, list[datetime]]) -> None:
    for piece in cover(*asked):
        if piece.width is not None:
            ends = [end for end in (piece.span.start, piece.span.end) if end is not None]
            assert all(is_start(end, piece.width) for end in ends)


@given(windows_and_cuts)
def test_no_rollup_of_a_cover_lies_in_two_buckets_of_a_trend(asked: tuple[Span, list[datetime]]) -> None:
    window, cuts = asked

    for piece in cover(window, cuts):
        start, end = closed(piece.span)
        inside = [cut for cut in cuts if start < cut < end]
        assert piece.width is None or all(is_start(cut, piece.width) for cut in inside)


@given(windows_and_cuts)
def test_only_what_no_coarser_rollup_answers_is_answered_by_what_is_finer(asked: tuple[Span, list[datetime]]) -> None:
    window, cuts = asked
    first, last = closed(window)

    for piece in cover(window, cuts):
        coarser = WIDTHS if piece.width is None else WIDTHS[: WIDTHS.index(piece.width)]
        for start, end in chain.from_iterable(buckets_over(piece.span, width) for width in coarser):
            assert start < first or end > last or any(start < cut < end for cut in cuts)


@given(trends, st.data())
def test_by_difference_each_moment_counts_once_in_its_own_bucket(
    asked: tuple[Span, list[datetime]], data: st.DataObject
) -> None:
    window, cuts = asked
    start, end = closed(window)
    pieces = cover_by_difference(window, cuts)
    ends = [moment for piece in pieces for moment in closed(piece.span)]
    moment = data.draw(st.sampled_from(ends) | st.datetimes(naive(start), naive(end), timezones=st.just(UTC)))
    assume(start <= moment < end)

    signs: Counter[int] = Counter()
    for piece in pieces:
        first, last = closed(piece.span)
        if first <= moment < last:
            signs[bisect_right(cuts, piece.at or moment)] += piece.sign

    assert {slot: sign for slot, sign in signs.items() if sign} == {bisect_right(cuts, moment): 1}


def naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


@given(trends)
def test_by_difference_the_pieces_are_whole_rollups_in_one_bucket_of_the_trend(
    asked: tuple[Span, list[datetime]],
) -> None:
    window, cuts = asked

    for piece in cover_by_difference(window, cuts):
        start, end = closed(piece.span)
        if piece.width is not None:
            assert is_start(start, piece.width)
            assert is_start(end, piece.width)
            assert piece.at or all(is_start(cut, piece.width) for cut in cuts if start < cut < end)
        if piece.sign < 0 or piece.at:
            assert start >= closed(window)[0]
            assert end <= closed(window)[1]


@given(windows(moments))
def test_without_a_trend_the_finer_is_at_the_ends_only(window: Span) -> None:
    pieces = cover(window)

    assert length(pieces, None) < 2 * QUARTER
    assert length(pieces, Width.QUARTER) < 2 * HOUR
    assert length(pieces, Width.HOUR) < 2 * DAY
    assert length(pieces, Width.DAY) < 2 * LONGEST_MONTH


@given(trends)
def test_a_trend_needs_what_is_finer_than_an_hour_only_within_the_hour_of_a_bound(
    asked: tuple[Span, list[datetime]],
) -> None:
    window, cuts = asked
    ends = {end for end in (window.start, window.end, *cuts) if end is not None}

    for piece in cover(window, cuts):
        if piece.width in (Width.QUARTER, None):
            for start, end in buckets_over(piece.span, Width.HOUR):
                assert any(start < moment < end for moment in ends)


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
