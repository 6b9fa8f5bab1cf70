"""Laws of cursors: they lead back to where a page ended, and no text makes them raise anything but `Malformed`."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from services.api.cursors import (
    read_cursor,
    read_rejected_cursor,
    write_cursor,
    write_rejected_cursor,
)
from services.api.queries.rejected import RejectedPosition
from services.api.queries.scores import Order, Position
from shared.errors import Malformed

orders = st.sampled_from(get_args(Order))
ids = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=200)
instants = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - see timezones
microseconds = instants.map(lambda moment: (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
positions = st.builds(Position, microseconds, ids)
rejected_positions = st.builds(RejectedPosition, instants, ids, st.integers(0, 999))


@given(orders, positions)
def test_a_cursor_leads_back(order: Order, position: Position) -> None:
    assert read_cursor(write_cursor(order, position), order) == position


@given(rejected_positions)
def test_a_cursor_of_rejected_scores_leads_back(position: RejectedPosition) -> None:
    assert read_rejected_cursor(write_rejected_cursor(position)) == position


@given(orders, st.text(max_size=100) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_no_text_raises_anything_but_malformed(order: Order, text: str) -> None:
    with suppress(Malformed):
        read_cursor(text, order)
    with suppress(Malformed):
        read_rejected_cursor(text)
