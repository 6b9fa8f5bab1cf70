"""What becomes of each score: stored, replaced, unchanged or rejected; the latest received wins."""

from collections.abc import Mapping

import pytest

from services.worker.batch import Batch, Place, Unreadable, in_portions, open_entry
from services.worker.judge import Key, judge
from services.worker.settle import Existing, Settled, Tally, settle
from shared.queue import Entry
from tests.builders import a_score
from tests.unit.making import NOW, PROJECT, a_batch, a_config, rules

RULES = {PROJECT: rules(a_config())}


def settled_of(
    *batches: Batch, existing: Mapping[Key, Existing] | None = None, deleted: Mapping[Key, int] | None = None
) -> Settled:
    candidates, rejections = judge(list(batches), RULES)
    return settle(batches, candidates, rejections, existing or {}, deleted or {})


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return tally.stored, tally.replaced, tally.unchanged, tally.rejected


def in_the_database(score_id: str, version: int) -> dict[Key, Existing]:
    return {(str(PROJECT), score_id): Existing(Place(version, 0), NOW)}


def test_new_scores_are_stored_and_broken_ones_rejected() -> None:
    batch = a_batch(a_score(id="a"), a_score(id="b"), a_score(id="c", value=7))

    settled = settled_of(batch)

    assert counts(settled.tallies[batch.batch_id]) == (2, 0, 0, 1)
    assert {key[1] for key in settled.latest} == {"a", "b"}


def test_of_one_id_twice_in_a_batch_the_later_one_wins() -> None:
    batch = a_batch(a_score(id="a", value=0.1), a_score(id="a", value=0.9))

    settled = settled_of(batch)

    assert counts(settled.tallies[batch.batch_id]) == (1, 1, 0, 0)
    assert [candidate.at for candidate in settled.latest.values()] == [1]


def test_of_one_id_in_two_batches_the_one_received_later_wins_in_whatever_order_they_come() -> None:
    earlier, later = a_batch(a_score(id="a"), entry_id="9-5"), a_batch(a_score(id="a"), entry_id="10-0")

    for batches in ((earlier, later), (later, earlier)):
        settled = settled_of(*batches)
        assert settled.latest[str(PROJECT), "a"].batch.version == later.version
        assert (settled.tallies[earlier.batch_id].stored, settled.tallies[later.batch_id].replaced) == (1, 1)


def test_a_score_that_is_there_and_older_is_replaced() -> None:
    batch = a_batch(a_score(id="a"))

    settled = settled_of(batch, existing=in_the_database("a", batch.version - 1))

    assert counts(settled.tallies[batch.batch_id]) == (0, 1, 0, 0)


def test_an_older_copy_that_arrives_later_changes_nothing() -> None:
    batch = a_batch(a_score(id="a"))

    settled = settled_of(batch, existing=in_the_database("a", batch.version + 1))

    assert counts(settled.tallies[batch.batch_id]) == (0, 0, 1, 0)
    assert settled.latest == {}


def test_a_redelivered_batch_changes_nothing() -> None:
    batch = a_batch(a_score(id="a"))

    settled = settled_of(batch, existing=in_the_database("a", batch.version))

    assert counts(settled.tallies[batch.batch_id]) == (0, 0, 1, 0)


@pytest.mark.parametrize("versions_later", [0, 1])
def test_a_copy_from_before_a_delete_changes_nothing(versions_later: int) -> None:
    batch = a_batch(a_score(id="a"))

    settled = settled_of(batch, deleted={(str(PROJECT), "a"): batch.version + versions_later})

    assert counts(settled.tallies[batch.batch_id]) == (0, 0, 1, 0)
    assert settled.latest == {}


def test_a_score_sent_after_a_delete_is_stored() -> None:
    batch = a_batch(a_score(id="a"))

    settled = settled_of(batch, deleted={(str(PROJECT), "a"): batch.version - 1})

    assert counts(settled.tallies[batch.batch_id]) == (1, 0, 0, 0)


def test_the_same_id_in_another_project_is_another_score() -> None:
    batch = a_batch(a_score(id="a"), project_id=(other := a_config().id))

    candidates, rejections = judge([batch], {other: rules()})
    settled = settle([batch], candidates, rejections, in_the_database("a", 1 << 62), {})

    assert settled.tallies[batch.batch_id].stored == 1


def test_an_empty_batch_has_an_empty_tally() -> None:
    batch = a_batch()

    assert counts(settled_of(batch).tallies[batch.batch_id]) == (0, 0, 0, 0)


# Portions and entries -------------------------------------------------------------------------------------------------


def sizes(*scores_of_batches: int, scores_max: int) -> list[list[int]]:
    batches = [a_batch(*[a_score()] * n) for n in scores_of_batches]
    return [[len(batch.scores) for batch in portion] for portion in in_portions(batches, scores_max)]


def test_batches_share_a_portion_as_long_as_there_is_room() -> None:
    assert sizes(2, 2, 1, 3, 2, scores_max=5) == [[2, 2, 1], [3, 2]]


def test_a_batch_that_is_larger_than_a_portion_stands_alone() -> None:
    assert sizes(1, 9, 1, scores_max=5) == [[1], [9], [1]]


def test_no_batches_make_no_portions() -> None:
    assert sizes(scores_max=5) == []


def test_an_empty_batch_is_in_a_portion_too() -> None:
    assert sum(len(portion) for portion in sizes(0, 2, 0, scores_max=5)) == 3


def test_an_entry_that_is_no_envelope_is_unreadable_and_says_why() -> None:
    opened = open_entry(Entry(0, "1-0", b"garbage"))

    assert isinstance(opened, Unreadable)
    assert "envelope" in opened.reason
