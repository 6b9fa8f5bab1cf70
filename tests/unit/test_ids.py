"""UUIDv7: unique, ordered by time, and what RFC 9562 says."""

from uuid import RFC_4122, UUID

import pytest

from shared.ids import parse_uuid, uuid7, uuid7s

MS = 1_763_640_000_123


def test_an_id_is_a_uuid_of_version_7_that_holds_its_millisecond() -> None:
    made = UUID(uuid7(MS))

    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == MS


def test_ids_of_one_call_ascend_and_are_distinct() -> None:
    ids = uuid7s(1000, MS)

    assert ids == sorted(set(ids))
    assert all(len(made) == 36 and made == str(UUID(made)) for made in ids)


def test_ids_of_a_later_millisecond_come_later() -> None:
    assert max(uuid7s(1000, MS)) < min(uuid7s(1000, MS + 1))


def test_ids_of_two_calls_in_one_millisecond_do_not_meet() -> None:
    ids = [made for _ in range(200) for made in uuid7s(50, MS)]

    assert len(set(ids)) == len(ids)


def test_no_ids_are_no_ids() -> None:
    assert uuid7s(0) == []


def test_the_clock_is_asked_where_no_time_is_given() -> None:
    assert UUID(uuid7()).int >> 80 >= MS


@pytest.mark.parametrize("text", ["", "x", "123", "0190163d-8694-739b-93f7-aaf9eb9e9a5", "é" * 36, "\x00" * 32])
def test_what_spells_no_uuid_is_none(text: str) -> None:
    assert parse_uuid(text) is None


def test_a_uuid_from_outside_is_read() -> None:
    assert parse_uuid("0190163d-8694-739b-93f7-aaf9eb9e9a5f") == UUID("0190163d8694739b93f7aaf9eb9e9a5f")
