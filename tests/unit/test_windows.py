"""Windows of time: what covers one, and the calendar buckets of a trend in a time zone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from services.api.windows import BUCKETS_MAX, Granularity, Piece, Width, bucket_bounds, cover, cover_by_difference
from shared.filters import Span

HOUR, DAYS, WEEK, MONTH = Granularity


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(start: str | None, end: str | None) -> Span:
    return Span(utc(start) if start else None, utc(end) if end else None)


def buckets(zone: str, start: str, end: str, granularity: Granularity = DAYS) -> list[datetime]:
    """Bounds for a window given in UTC."""
    return bucket_bounds(utc(start), utc(end), granularity, ZoneInfo(zone))


def hours(bounds: list[datetime]) -> list[float]:
    """The real length of each bucket."""
    moments = [bound.astimezone(UTC) for bound in bounds]
    return [(end - start) / timedelta(hours=1) for start, end in pairwise(moments)]


# Cover ----------------------------------------------------------------------------------------------------------------


MONTHS_OF_ROLLUPS, DAYS_OF_ROLLUPS, HOURS_OF_ROLLUPS, QUARTERS_OF_ROLLUPS = Width
ROWS = None


def test_whole_months_are_answered_by_month_rollups_alone() -> None:
    window = span("2025-02-01", "2025-05-01")

    assert cover(window) == (Piece(MONTHS_OF_ROLLUPS, window),)


def test_whole_days_are_answered_by_day_rollups_alone() -> None:
    window = span("2025-03-01", "2025-03-04")

    assert cover(window) == (Piece(DAYS_OF_ROLLUPS, window),)


def test_an_open_window_is_months_without_an_end() -> None:
    assert cover(Span(None, None)) == (Piece(MONTHS_OF_ROLLUPS, Span(None, None)),)


def test_ragged_ends_are_answered_by_what_is_finer_and_the_rest_of_them_by_rows() -> None:
    assert cover(span("2024-12-30T22:07", "2025-03-04T00:20")) == (
        Piece(ROWS, span("2024-12-30T22:07", "2024-12-30T22:15")),
        Piece(QUARTERS_OF_ROLLUPS, span("2024-12-30T22:15", "2024-12-30T23:00")),
        Piece(HOURS_OF_ROLLUPS, span("2024-12-30T23:00", "2024-12-31")),
        Piece(DAYS_OF_ROLLUPS, span("2024-12-31", "2025-01-01")),
        Piece(MONTHS_OF_ROLLUPS, span("2025-01-01", "2025-03-01")),
        Piece(DAYS_OF_ROLLUPS, span("2025-03-01", "2025-03-04")),
        Piece(QUARTERS_OF_ROLLUPS, span("2025-03-04", "2025-03-04T00:15")),
        Piece(ROWS, span("2025-03-04T00:15", "2025-03-04T00:20")),
    )


def test_an_open_end_has_no_ragged_piece() -> None:
    assert cover(span("2025-03-31T23:50", None)) == (
        Piece(ROWS, span("2025-03-31T23:50", "2025-04-01")),
        Piece(MONTHS_OF_ROLLUPS, span("2025-04-01", None)),
    )


def test_a_window_within_a_quarter_is_rows() -> None:
    window = span("2025-03-01T10:01", "2025-03-01T10:14")

    assert cover(window) == (Piece(ROWS, window),)


def test_a_window_within_a_day_is_hours_and_what_is_left_of_it_quarters() -> None:
    assert cover(span("2025-03-01T10:00", "2025-03-01T11:15")) == (
        Piece(HOURS_OF_ROLLUPS, span("2025-03-01T10:00", "2025-03-01T11:00")),
        Piece(QUARTERS_OF_ROLLUPS, span("2025-03-01T11:00", "2025-03-01T11:15")),
    )


def test_a_window_that_holds_no_whole_hour_is_quarters() -> None:
    window = span("2025-03-01T10:15", "2025-03-01T11:45")

    assert cover(window) == (Piece(QUARTERS_OF_ROLLUPS, window),)


def test_a_window_is_an_interval_of_real_time_also_across_a_change_of_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    window = Span(datetime(2025, 3, 30, 1, 45, tzinfo=berlin), datetime(2025, 3, 30, 3, 15, tzinfo=berlin))

    assert cover(window) == (Piece(QUARTERS_OF_ROLLUPS, span("2025-03-30T00:45", "2025-03-30T01:15")),)


# Cover of a trend -----------------------------------------------------------------------------------------------------


def trend(zone: str, start: str, end: str, granularity: Granularity = DAYS) -> tuple[Piece, ...]:
    """Of a window in UTC and the zone's buckets."""
    return cover(span(start, end), buckets(zone, start, end, granularity))


def widths(pieces: tuple[Piece, ...]) -> set[Width | None]:
    return {piece.width for piece in pieces}


@pytest.mark.parametrize(
    ("granularity", "width"),
    [
        (MONTH, MONTHS_OF_ROLLUPS),
        (WEEK, DAYS_OF_ROLLUPS),
        (DAYS, DAYS_OF_ROLLUPS),
        (HOUR, HOURS_OF_ROLLUPS),
    ],
)
def test_buckets_in_utc_are_one_piece_of_rollups_of_their_length(granularity: Granularity, width: Width) -> None:
    window = span("2025-09-01", "2025-12-01")

    assert trend("UTC", "2025-09-01", "2025-12-01", granularity) == (Piece(width, window),)


def test_days_of_a_zone_of_whole_hours_are_hours() -> None:
    window = span("2025-01-01", "2025-01-31")

    assert trend("Europe/Berlin", "2025-01-01", "2025-01-31") == (Piece(HOURS_OF_ROLLUPS, window),)


def test_months_of_a_zone_are_days_but_for_those_on_which_they_begin() -> None:
    assert trend("Europe/Berlin", "2025-01-01", "2025-03-01", MONTH) == (
        Piece(DAYS_OF_ROLLUPS, span("2025-01-01", "2025-01-31")),
        Piece(HOURS_OF_ROLLUPS, span("2025-01-31", "2025-02-01")),
        Piece(DAYS_OF_ROLLUPS, span("2025-02-01", "2025-02-28")),
        Piece(HOURS_OF_ROLLUPS, span("2025-02-28", "2025-03-01")),
    )


def test_days_of_kolkata_are_hours_but_for_that_in_which_midnight_is() -> None:
    assert trend("Asia/Kolkata", "2025-03-01", "2025-03-03") == (
        Piece(HOURS_OF_ROLLUPS, span("2025-03-01", "2025-03-01T18:00")),
        Piece(QUARTERS_OF_ROLLUPS, span("2025-03-01T18:00", "2025-03-01T19:00")),
        Piece(HOURS_OF_ROLLUPS, span("2025-03-01T19:00", "2025-03-02T18:00")),
        Piece(QUARTERS_OF_ROLLUPS, span("2025-03-02T18:00", "2025-03-02T19:00")),
        Piece(HOURS_OF_ROLLUPS, span("2025-03-02T19:00", "2025-03-03")),
    )


def test_hours_of_kolkata_are_one_piece_of_quarters() -> None:
    window = span("2025-03-01", "2025-03-08")

    assert trend("Asia/Kolkata", "2025-03-01", "2025-03-08", HOUR) == (Piece(QUARTERS_OF_ROLLUPS, window),)


def test_by_difference_a_day_is_the_longer_side_of_midnight_less_what_lies_on_the_shorter() -> None:
    window, midnight = span("2025-03-01", "2025-03-02"), utc("2025-03-01T18:30")
    quarters = Piece(QUARTERS_OF_ROLLUPS, span("2025-03-01T18:30", "2025-03-01T19:00"))
    hours = Piece(HOURS_OF_ROLLUPS, span("2025-03-01T19:00", "2025-03-02"))

    pieces = cover_by_difference(window, [midnight])

    assert pieces == (
        Piece(DAYS_OF_ROLLUPS, window, at=window.start),
        quarters,
        replace(quarters, at=window.start, sign=-1),
        hours,
        replace(hours, at=window.start, sign=-1),
    )


@pytest.mark.parametrize(("zone", "granularity"), [("UTC", DAYS), ("UTC", HOUR), ("Asia/Kolkata", HOUR)])
def test_by_difference_nothing_is_taken_away_where_days_are_whole_or_cut_often(
    zone: str, granularity: Granularity
) -> None:
    window, bounds = span("2025-03-01", "2025-03-08"), buckets(zone, "2025-03-01", "2025-03-08", granularity)

    assert cover_by_difference(window, bounds) == cover(window, bounds)


def test_lord_howe_needs_quarters_only_while_its_midnight_is_at_half_past() -> None:
    pieces = trend("Australia/Lord_Howe", "2025-04-03", "2025-04-09")  # +11 until the 5th at 15:00 UTC, then +10:30

    assert [piece.span.start for piece in pieces if piece.width is QUARTERS_OF_ROLLUPS] == [
        utc(f"2025-04-0{day}T13:00") for day in (6, 7, 8)
    ]


def test_where_a_day_begins_inside_a_quarter_that_quarter_is_rows() -> None:
    pieces = trend("Africa/Monrovia", "1960-01-01", "1960-01-03")  # 44 minutes and 30 seconds behind UTC

    assert [piece.span for piece in pieces if piece.width is ROWS] == [
        span("1960-01-01T00:30", "1960-01-01T00:45"),
        span("1960-01-02T00:30", "1960-01-02T00:45"),
    ]
    assert widths(pieces) == {ROWS, QUARTERS_OF_ROLLUPS, HOURS_OF_ROLLUPS}


@pytest.mark.parametrize(("end", "start"), [("2025-03-01", "2025-03-01"), ("2025-03-01", "2025-03-05")])
def test_an_empty_window_has_no_pieces(start: str, end: str) -> None:
    assert cover(span(start, end)) == ()


# Days -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "start", "end", "first", "count"),
    [
        ("UTC", "2025-03-01T10:00", "2025-03-03T10:00", "2025-03-01T00:00", 3),
        ("Asia/Kolkata", "2025-03-01T23:45", "2025-03-01T23:46", "2025-03-01T18:30", 1),
        ("America/St_Johns", "2025-01-01T23:45", "2025-01-01T23:46", "2025-01-01T03:30", 1),
        ("Pacific/Kiritimati", "2025-03-01T10:00", "2025-03-01T10:01", "2025-03-01T10:00", 1),
        ("Pacific/Niue", "2025-03-01T10:59", "2025-03-01T11:01", "2025-02-28T11:00", 2),
    ],
)
def test_a_window_touches_the_days_of_its_time_zone(zone: str, start: str, end: str, first: str, count: int) -> None:
    bounds = buckets(zone, start, end)

    assert bounds[0] == utc(first)
    assert len(bounds) == count + 1


def test_a_window_that_ends_at_midnight_does_not_touch_the_next_day() -> None:
    assert buckets("Asia/Kolkata", "2025-02-28T18:30", "2025-03-01T18:30")[-1] == utc("2025-03-01T18:30")


@pytest.mark.parametrize(
    ("zone", "start", "end", "lengths"),
    [
        ("America/New_York", "2025-03-08T12:00", "2025-03-10T12:00", [24, 23, 24]),
        ("America/New_York", "2025-11-01T12:00", "2025-11-03T12:00", [24, 25, 24]),
        ("Europe/Berlin", "2025-03-30T12:00", "2025-03-30T13:00", [23]),
        ("America/St_Johns", "2025-03-09T12:00", "2025-03-09T13:00", [23]),
        ("Australia/Lord_Howe", "2025-04-05T14:00", "2025-04-06T00:00", [24.5]),
        ("Australia/Lord_Howe", "2025-10-04T14:00", "2025-10-05T00:00", [23.5]),
        ("America/Sao_Paulo", "2018-11-04T05:00", "2018-11-05T01:00", [23]),
        ("America/Sao_Paulo", "2018-02-17T05:00", "2018-02-18T02:30", [25]),
        ("America/Havana", "2025-11-01T12:00", "2025-11-02T12:00", [24, 25]),
    ],
)
def test_the_days_on_which_the_clocks_change_are_shorter_or_longer(
    zone: str, start: str, end: str, lengths: list[float]
) -> None:
    assert hours(buckets(zone, start, end)) == lengths


def test_a_day_whose_midnight_is_skipped_begins_at_the_moment_of_the_change() -> None:
    bounds = buckets("America/Sao_Paulo", "2018-11-03T12:00", "2018-11-04T12:00")

    assert [bound.astimezone(UTC) for bound in bounds] == [
        utc("2018-11-03T03:00"), utc("2018-11-04T03:00"), utc("2018-11-05T02:00"),
    ]  # fmt: skip


def test_a_calendar_without_one_of_its_days_still_ascends() -> None:
    moments = [bound.astimezone(UTC) for bound in buckets("Pacific/Apia", "2011-12-29T00:00", "2012-01-01T00:00")]

    assert moments == sorted(moments)
    assert moments[-1] - moments[0] == timedelta(hours=96)


# Weeks, months, hours -------------------------------------------------------------------------------------------------


def test_weeks_begin_on_monday() -> None:
    bounds = buckets("Europe/Berlin", "2025-01-01T12:00", "2025-01-13T12:00", WEEK)

    assert [bound.date().isoformat() for bound in bounds] == ["2024-12-30", "2025-01-06", "2025-01-13", "2025-01-20"]
    assert {(bound.weekday(), bound.hour) for bound in bounds} == {(0, 0)}


def test_the_week_in_which_the_clocks_change_has_an_hour_less() -> None:
    assert hours(buckets("Europe/Berlin", "2025-03-25T00:00", "2025-03-26T00:00", WEEK)) == [7 * 24 - 1]


def test_months_have_the_length_of_the_calendars() -> None:
    bounds = buckets("UTC", "2024-01-31T00:00", "2024-04-01T00:00", MONTH)

    assert hours(bounds) == [31 * 24, 29 * 24, 31 * 24]


def test_months_of_a_zone_begin_at_its_own_midnight() -> None:
    bounds = buckets("America/New_York", "2025-03-01T04:59", "2025-03-01T05:01", MONTH)

    assert bounds == [utc("2025-02-01T05:00"), utc("2025-03-01T05:00"), utc("2025-04-01T04:00")]


def test_months_go_over_the_turn_of_the_year() -> None:
    bounds = buckets("UTC", "2024-11-15T00:00", "2025-01-15T00:00", MONTH)

    assert [bound.month for bound in bounds] == [11, 12, 1, 2]


def test_hours_begin_where_the_zones_clock_shows_a_full_hour() -> None:
    bounds = buckets("Asia/Kolkata", "2025-03-01T10:40", "2025-03-01T11:40", HOUR)

    assert bounds == [utc("2025-03-01T10:30"), utc("2025-03-01T11:30"), utc("2025-03-01T12:30")]


@pytest.mark.parametrize(("start", "end"), [("2025-03-09T00:00", "2025-03-10T00:00"), ("2025-11-02", "2025-11-03")])
def test_an_hour_is_sixty_minutes_also_when_the_clocks_change(start: str, end: str) -> None:
    assert hours(buckets("America/New_York", start, end, HOUR)) == [1.0] * 24


def test_a_window_that_ends_at_a_full_hour_does_not_touch_the_next_one() -> None:
    assert len(buckets("UTC", "2025-03-01T10:00", "2025-03-01T12:00", HOUR)) == 3


# Limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("granularity", "step"), [(HOUR, timedelta(hours=1)), (DAYS, timedelta(days=1))])
def test_as_many_buckets_as_allowed_are_made_and_not_one_more(granularity: Granularity, step: timedelta) -> None:
    start = utc("2000-01-01")
    end = start + BUCKETS_MAX * step

    assert len(bucket_bounds(start, end, granularity, ZoneInfo("UTC"))) == BUCKETS_MAX + 1
    with pytest.raises(ValueError, match="buckets"):
        bucket_bounds(start, end + timedelta(microseconds=1), granularity, ZoneInfo("UTC"))


def test_three_hundred_years_of_months_are_within_the_limit() -> None:
    assert len(buckets("UTC", "1900-01-01", "2200-01-01", MONTH)) == 3601
