"""A query string becomes filters, windows and pages; every fault names its parameter."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from services.api import params
from services.api.params import Query
from services.api.windows import Granularity
from shared.errors import Malformed
from shared.scores import DataType, Source

Read = Callable[[Query], Any]


def fault(read: Read, *pairs: tuple[str, str]) -> tuple[str, str | None]:
    """(code, pointer) of the refusal."""
    with pytest.raises(Malformed) as refusal:
        read(Query(pairs))
    return refusal.value.code, refusal.value.pointer


def limit(query: Query) -> int:
    return query.whole_number("limit", 1, 1000, 50)


# What is understood ---------------------------------------------------------------------------------------------------


def test_nothing_given_means_no_filter() -> None:
    filters = params.score_filters(Query([]))

    assert not filters.beyond_rollups()
    assert (filters.name, filters.start, filters.end, filters.min_value) == ((), None, None, None)


def test_every_filter_is_taken_as_its_type() -> None:
    given = [
        ("name", "a"), ("name", "b"), ("source", "HUMAN"), ("data_type", "BOOLEAN"), ("min_value", "0"),
        ("max_value", "1e3"), ("config_id", str(UUID(int=1))), ("author_id", str(UUID(int=2))), ("value", "true"),
    ]  # fmt: skip

    found = params.score_filters(Query(given))

    assert (found.name, found.source, found.data_type) == (("a", "b"), (Source.HUMAN,), (DataType.BOOLEAN,))
    assert (found.min_value, found.max_value, found.value) == (0.0, 1000.0, ("true",))
    assert (found.config_id, found.author_id) == ((UUID(int=1),), (UUID(int=2),))


def test_when_a_score_arrived_is_beyond_rollups() -> None:
    found = params.score_filters(Query([("received_from", "2025-01-02T03:04:05+05:30")]))

    assert found.received_from == datetime(2025, 1, 1, 21, 34, 5, tzinfo=UTC)
    assert found.beyond_rollups()


def test_a_filter_on_zero_is_a_filter() -> None:
    assert params.score_filters(Query([("min_value", "0")])).beyond_rollups()


@pytest.mark.parametrize("name", ["trace_id", "span_id", "session_id", "user_id", "author", "value", "metadata.a"])
def test_what_rollups_do_not_know_is_beyond_them(name: str) -> None:
    assert params.score_filters(Query([(name, "x")])).beyond_rollups()


@pytest.mark.parametrize(("name", "value"), [("name", "x"), ("environment", "x"), ("source", "SDK")])
def test_what_rollups_know_is_not_beyond_them(name: str, value: str) -> None:
    assert not params.score_filters(Query([(name, value)])).beyond_rollups()


def test_metadata_is_filtered_by_key_with_alternatives() -> None:
    query = Query([("metadata.lang", "de"), ("metadata.lang", "en"), ("metadata.a.b", "1")])

    found = params.score_filters(query)

    assert found.metadata == {"lang": ("de", "en"), "a.b": ("1",)}
    query.done()


@pytest.mark.parametrize(
    "text", ["2025-03-01T05:30:00+05:30", "2025-03-01T05:30:00 05:30", "2025-03-01T00:00:00Z", "2025-03-01T00:00:00z"]
)
def test_a_moment_is_read_in_any_offset_also_with_a_plus_that_became_a_blank(text: str) -> None:
    start, end = params.window(Query([("from", text)]))

    assert (start, end) == (datetime(2025, 3, 1, tzinfo=UTC), None)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("1000", 1000), ("0001", 1)])
def test_a_whole_number_within_its_bounds_is_taken(text: str, number: int) -> None:
    assert limit(Query([("limit", text)])) == number
    assert limit(Query([])) == 50


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("false", False)])
def test_a_flag_is_true_or_false(text: str, flag: bool) -> None:
    assert Query([("percentiles", text)]).flag("percentiles", default=not flag) is flag
    assert Query([]).flag("percentiles", default=flag) is flag


def test_dimensions_are_given_by_comma_or_by_repetition() -> None:
    expected = ("source", "metadata.lang")

    assert params.group_by(Query([("group_by", "source,metadata.lang")])) == expected
    assert params.group_by(Query([("group_by", "source"), ("group_by", "metadata.lang")])) == expected
    assert params.group_by(Query([])) == ()


@pytest.mark.parametrize("name", ["UTC", "Asia/Kolkata", "America/Argentina/Buenos_Aires"])
def test_an_iana_name_is_a_time_zone(name: str) -> None:
    assert params.zone(Query([("timezone", name)])) == ZoneInfo(name)
    assert params.zone(Query([])).key == "UTC"


def test_the_granularity_is_a_day_unless_it_is_said() -> None:
    assert params.granularity(Query([])) is Granularity.DAY
    assert params.granularity(Query([("granularity", "week")])) is Granularity.WEEK


def test_edges_are_numbers_by_comma() -> None:
    assert params.numbers(Query([("edges", "-1,0,1e3")]), "edges", 3) == (-1.0, 0.0, 1000.0)
    assert params.numbers(Query([]), "edges", 3) == ()


@pytest.mark.parametrize(("days", "first"), [(1, 2), (2, 1)])
def test_days_before_now_count_today_in_the_zones_calendar(days: int, first: int) -> None:
    kolkata = ZoneInfo("Asia/Kolkata")

    start = params.days_before(datetime(2025, 3, 1, 20, tzinfo=UTC), days, kolkata)

    assert start == datetime(2025, 3, first, tzinfo=kolkata)


# What is not ----------------------------------------------------------------------------------------------------------


def test_a_parameter_that_nobody_asked_for_is_refused_by_name() -> None:
    def read(query: Query) -> None:
        params.score_filters(query)
        query.done()

    assert fault(read, ("nmae", "x")) == ("unknown_parameter", "nmae")
    assert fault(read, ("metadata.", "x")) == ("unknown_parameter", "metadata.")
    assert fault(read, ("", "x")) == ("unknown_parameter", "")


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "1001", "-1", "+1", "1.0", "1e2", " 1", "1 ", "ten", "٣", "³", "10000000000", "0x10",
        "00000000019999999999", "9" * 400,
    ],
)  # fmt: skip
def test_a_whole_number_beyond_its_bounds_is_refused_however_it_is_written(text: str) -> None:
    assert fault(limit, ("limit", text)) == ("invalid_parameter", "limit")


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1e999", "one", "0x10", "1,5"])
def test_a_bound_is_a_finite_number(text: str) -> None:
    assert fault(params.score_filters, ("min_value", text)) == ("invalid_parameter", "min_value")
    assert fault(params.score_filters, ("max_value", text)) == ("invalid_parameter", "max_value")


@pytest.mark.parametrize("text", ["1_000", " 1", "1\n", "٣"])
def test_a_number_is_written_as_json_writes_it(text: str) -> None:
    assert fault(params.score_filters, ("min_value", text)) == ("invalid_parameter", "min_value")


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2025-03-01", "2025-03-01T00:00:00", "2025-02-30T00:00:00Z", "1899-12-31T23:59:59Z",
        "2201-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "nan", "1e400",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["from", "to"])
def test_a_moment_is_rfc_3339_with_an_offset_and_within_three_centuries(name: str, text: str) -> None:
    assert fault(params.window, (name, text)) == ("invalid_parameter", name)


@pytest.mark.parametrize("start", ["2025-03-01T00:00:00Z", "2025-03-01T00:00:00.000001Z", "2025-03-01T01:00:00+00:30"])
def test_a_window_begins_before_it_ends(start: str) -> None:
    assert fault(params.window, ("from", start), ("to", "2025-03-01T00:00:00Z")) == ("invalid_parameter", "from")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("source", "sdk"),
        ("source", ""),
        ("data_type", "numeric"),
        ("config_id", "x"),
        ("author_id", "1"),
        ("config_id", ""),
    ],
)
def test_a_word_that_is_not_in_the_list_is_refused(name: str, text: str) -> None:
    assert fault(params.score_filters, (name, text)) == ("invalid_parameter", name)


def test_a_parameter_that_takes_one_value_is_not_given_twice() -> None:
    assert fault(limit, ("limit", "1"), ("limit", "1")) == ("invalid_parameter", "limit")
    assert fault(params.window, ("from", "x"), ("from", "x")) == ("invalid_parameter", "from")


def test_a_filter_has_at_most_a_hundred_alternatives() -> None:
    assert len(params.score_filters(Query([("name", "x")] * 100)).name) == 100
    assert fault(params.score_filters, *[("name", "x")] * 101) == ("invalid_parameter", "name")


@pytest.mark.parametrize("name", ["trace_id", "metadata.a", "value"])
def test_a_text_has_at_most_500_characters(name: str) -> None:
    params.score_filters(Query([(name, "x" * 500)]))

    assert fault(params.score_filters, (name, "x" * 501)) == ("invalid_parameter", name)


def test_metadata_is_filtered_by_so_many_keys_and_no_more() -> None:
    keys = [(f"metadata.{number}", "x") for number in range(101)]

    assert len(params.score_filters(Query(keys[1:])).metadata) == 100
    assert fault(params.score_filters, *keys) == ("invalid_parameter", "metadata.…")


@pytest.mark.parametrize("pair", [("name", "a\x00b"), ("na\x00me", "x"), ("metadata.\x00", "x")])
def test_a_nul_character_is_refused_before_it_meets_the_database(pair: tuple[str, str]) -> None:
    code, pointer = fault(lambda query: query, pair)

    assert code == "invalid_parameter"
    assert "\x00" not in (pointer or "")


@pytest.mark.parametrize("text", ["TRUE", "1", "", "yes"])
def test_another_word_is_no_flag(text: str) -> None:
    assert fault(lambda query: query.flag("percentiles", default=True), ("percentiles", text))[1] == "percentiles"


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "metadata",
        "metadata.",
        "source,source",
        "source,environment,author,metadata.a,metadata.b",
        "source,x",
        "id",
    ],
)
def test_another_dimension_twice_the_same_or_too_many_are_refused(text: str) -> None:
    assert fault(params.group_by, ("group_by", text)) == ("invalid_parameter", "group_by")


@pytest.mark.parametrize(
    "text", ["Mars", "America", "../etc/passwd", "/etc/localtime", "zone.tab", "x" * 400, "é", "UTC ", "+01:00", "."]
)
def test_what_is_no_iana_name_is_refused(text: str) -> None:
    assert fault(params.zone, ("timezone", text)) == ("invalid_parameter", "timezone")


@pytest.mark.parametrize("text", ["Day", "year", ""])
def test_another_granularity_is_refused(text: str) -> None:
    assert fault(params.granularity, ("granularity", text)) == ("invalid_parameter", "granularity")


@pytest.mark.parametrize("text", ["1,1", "2,1", "nan", "1,x", "1,2,3,4", "1,inf"])
def test_edges_ascend_and_are_few(text: str) -> None:
    assert fault(lambda query: params.numbers(query, "edges", 3), ("edges", text)) == ("invalid_parameter", "edges")


def test_a_pointer_to_a_long_name_is_short() -> None:
    _, pointer = fault(Query.done, ("x" * 5000, "1"))

    assert pointer is not None
    assert len(pointer) <= 100
