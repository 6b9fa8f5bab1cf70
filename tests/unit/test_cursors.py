"""Cursors say where a page ended, and nothing else is one."""

import base64
from datetime import UTC, datetime

import msgspec
import pytest

from services.api.cursors import (
    read_cursor,
    read_rejected_cursor,
    write_cursor,
    write_rejected_cursor,
)
from services.api.queries.rejected import RejectedPosition
from services.api.queries.scores import Position
from shared.errors import Malformed

PLACE = Position(1_763_640_000_123_456, "s/1 ü")


def spelled(content: object) -> str:
    """A cursor made by someone else."""
    raw = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_cursor_leads_back_to_where_the_page_ended() -> None:
    assert read_cursor(write_cursor("desc", PLACE), "desc") == PLACE
    assert read_cursor(write_cursor("asc", PLACE), "asc") == PLACE


def test_a_cursor_needs_no_escaping_in_an_address() -> None:
    text = write_cursor("desc", Position(-1, "?>~ÿ" * 50))

    assert text.replace("-", "").replace("_", "").isalnum()


def test_a_cursor_of_the_other_order_is_refused() -> None:
    with pytest.raises(Malformed, match="order=asc") as refusal:
        read_cursor(write_cursor("asc", PLACE), "desc")

    assert (refusal.value.code, refusal.value.pointer) == ("invalid_cursor", "cursor")


FOREIGN = [
    "", "x", "%%%", "é", "a" * 500, "====", spelled(b"\xff\xfe"), spelled({}), spelled([]), spelled(["desc"]),
    spelled(["up", [1, "a"]]), spelled(["desc", [1.5, "a"]]), spelled(["desc", [1 << 60, "a"]]),
    spelled(["desc", [-(1 << 60), "a"]]), spelled(["desc", [1 << 70, "a"]]), spelled(["desc", ["1", "a"]]),
    spelled(["desc", [1, "a\x00"]]), spelled(["desc", [1]]), spelled(["desc", [1, "a"], 1]), spelled(None),
    spelled(b'["desc",[1,"\xff"]]'), spelled(b'["desc",[1,"\\ud800"]]'), spelled(b"[" * 300),
]  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN)
def test_what_is_no_cursor_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as refusal:
        read_cursor(text, "desc")

    assert (refusal.value.code, refusal.value.pointer) == ("invalid_cursor", "cursor")


def test_a_cursor_of_rejected_scores_leads_back_to_where_the_page_ended() -> None:
    place = RejectedPosition(datetime(2025, 3, 1, 1, 2, 3, 456_789, tzinfo=UTC), "1-0-3", 7)

    assert read_rejected_cursor(write_rejected_cursor(place)) == place


@pytest.mark.parametrize(
    "text",
    [
        *FOREIGN, spelled(["2025-03-01T00:00:00", "b", 0]), spelled(["2025-03-01T00:00:00Z", "b", -1]),
        spelled(["2025-03-01T00:00:00Z", "b", 1 << 31]), spelled(["2025-03-01T00:00:00Z", "b\x00", 0]),
        spelled(["0001-01-01T00:00:00+23:59", "b", 0]), spelled(["9999-12-31T23:59:59-23:59", "b", 0]),
    ],
)  # fmt: skip
def test_what_is_no_cursor_of_rejected_scores_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as refusal:
        read_rejected_cursor(text)

    assert refusal.value.code == "invalid_cursor"
