"""Places in the queue: streams, batch ids, and versions that order the writes to one score."""

from itertools import pairwise
from uuid import UUID

import pytest

from shared.ids import uuid7s
from shared.queue import Entry, batch_id_of, key_of, place_of_batch, stream_of, streams_of, version_of
from tests.unit.making import PROJECT

OWN, BULK = 4, 5
ENTRY_IDS = [
    "0-1", "1-0", "1-1", "1-1048575", "2-0", "1763625600123-0", "1763625600123-1", "1763625600123-1048575",
    "1763625600124-0", "4398046511103-1048575",
]  # fmt: skip


@pytest.mark.parametrize("stream", [OWN, BULK])
def test_versions_are_in_the_order_of_a_streams_entry_ids(stream: int) -> None:
    versions = [version_of(stream, entry_id) for entry_id in ENTRY_IDS]

    assert all(earlier < later for earlier, later in pairwise(versions))


@pytest.mark.parametrize("stream", [OWN, BULK])
def test_a_version_fits_a_bigint(stream: int) -> None:
    assert version_of(stream, ENTRY_IDS[-1]) < 1 << 63


@pytest.mark.parametrize("stream", [OWN, BULK])
def test_versions_stay_in_order_when_redis_is_pinned_to_one_millisecond(stream: int) -> None:
    sequences = (1_048_575, 1_048_576, 2_097_151, 2_097_152, 5_000_000)

    pinned = [version_of(stream, f"1763625600123-{sequence}") for sequence in sequences]

    assert all(earlier < later for earlier, later in pairwise(pinned))


def test_a_bulk_entry_is_later_than_the_own_ones_of_its_millisecond_and_earlier_than_those_of_the_next() -> None:
    last_own, bulk, next_own = version_of(OWN, "7-1048575"), version_of(BULK, "7-0"), version_of(OWN, "8-0")

    assert last_own < bulk < next_own


def test_no_two_entries_of_a_project_have_one_version() -> None:
    entry_ids = [f"{ms}-{sequence}" for ms in (7, 8) for sequence in (0, 1, 1_048_574, 1_048_575)]

    versions = [version_of(stream, entry_id) for stream in (OWN, BULK) for entry_id in entry_ids]

    assert len(set(versions)) == len(versions)


def test_a_batch_id_leads_back_to_its_place() -> None:
    entry = Entry(stream=5, entry_id="1763625600123-7", data=b"")

    assert entry.batch_id == batch_id_of(5, "1763625600123-7") == "1763625600123-7-5"
    assert place_of_batch(entry.batch_id) == (5, "1763625600123-7")


@pytest.mark.parametrize(
    "batch_id",
    [
        "", "-", "--", "1", "1-2", "1-2-", "-1-2", "1-2-3-4", "a-b-c", "1-2-x", "1- 2-3", "1-2-³", "1-2-٣", "1-2--3",
        "1.5-2-3", "1" * 21 + "-0-0", "1-0-" + "1" * 21, "\x00-0-0", "1-2-3\n",
    ],
)  # fmt: skip
def test_what_can_be_no_batch_id_leads_nowhere(batch_id: str) -> None:
    assert place_of_batch(batch_id) is None


@pytest.mark.parametrize(
    "batch_id", ["18446744073709551616-0-0", "0-18446744073709551616-0", "99999999999999999999-0-0"]
)
def test_an_entry_id_that_redis_can_not_hold_is_no_batch_id(batch_id: str) -> None:
    assert place_of_batch(batch_id) is None


@pytest.mark.parametrize("shards", [1, 2, 8, 64])
def test_a_project_has_one_stream_and_one_for_bulk_among_those_there_are(shards: int) -> None:
    projects = [UUID(made) for made in uuid7s(2000)]

    found = {stream_of(project, shards, bulk=bulk) for project in projects for bulk in (False, True)}

    assert found == set(streams_of(shards))


def test_a_projects_two_streams_belong_to_one_shard() -> None:
    own, bulk = stream_of(PROJECT, 8), stream_of(PROJECT, 8, bulk=True)

    assert key_of(bulk) == f"{key_of(own)}:bulk"


def test_the_stream_of_a_project_never_changes_between_releases() -> None:
    assert [stream_of(PROJECT, shards) for shards in (1, 8)] == [0, 2]
    assert [key_of(stream) for stream in (2, 3)] == ["assay:scores:1", "assay:scores:1:bulk"]


def test_no_two_streams_share_a_key() -> None:
    assert len({key_of(stream) for stream in streams_of(64)}) == 128
