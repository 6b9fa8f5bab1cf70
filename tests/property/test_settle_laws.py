"""Laws of settling: every score is counted once, the latest wins in any interleaving, and twice is once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.worker.batch import Batch, in_portions
from services.worker.judge import Key, judge
from services.worker.settle import Existing, Settled, settle
from tests.unit.making import NOW, PROJECT, a_batch, a_config, rules

RULES = {PROJECT: rules(a_config(name="judged"))}

scores = st.fixed_dictionaries(
    {
        "id": st.sampled_from("abcd"),
        "name": st.sampled_from(["judged", "free"]),
        "value": st.sampled_from([0.0, 1.0, 7.0, "x"]),
        "trace_id": st.just("t"),
    }
)
contents = st.lists(st.lists(scores, min_size=1, max_size=5), min_size=1, max_size=6)


def batches_of(content: list[list[dict[str, Any]]]) -> list[Batch]:
    """One entry after the other."""
    return [a_batch(*batch, entry_id=f"{1000 + n // 2}-{n % 2}") for n, batch in enumerate(content)]


def settled_of(batches: list[Batch], existing: dict[Key, Existing]) -> Settled:
    candidates, rejections = judge(batches, RULES)
    return settle(batches, candidates, rejections, existing, {})


def winners(settled: Settled) -> dict[Key, tuple[str, int]]:
    """Which score of which batch each id ends with."""
    return {key: (candidate.batch.batch_id, candidate.at) for key, candidate in settled.latest.items()}


def written(settled: Settled, existing: dict[Key, Existing]) -> dict[Key, Existing]:
    """What is in the database afterwards."""
    return existing | {key: Existing(candidate.place, NOW) for key, candidate in settled.latest.items()}


def one_by_one(batches: list[Batch]) -> dict[Key, tuple[str, int]]:
    """The naive way: each score overwrites what is there, in the order received."""
    candidates, _ = judge(batches, RULES)
    return {candidate.key: (candidate.batch.batch_id, candidate.at) for candidate in candidates}


@given(contents)
def test_every_score_of_a_batch_is_counted_once(content: list[list[dict[str, Any]]]) -> None:
    batches = batches_of(content)

    tallies = settled_of(batches, {}).tallies

    for batch in batches:
        tally = tallies[batch.batch_id]
        assert tally.stored + tally.replaced + tally.unchanged + tally.rejected == len(batch.scores)


@given(contents)
def test_as_many_scores_are_stored_as_there_are_afterwards(content: list[list[dict[str, Any]]]) -> None:
    settled = settled_of(batches_of(content), {})

    assert sum(tally.stored for tally in settled.tallies.values()) == len(settled.latest)


@given(contents, st.data())
def test_the_latest_received_wins_in_any_interleaving_and_any_portions(
    content: list[list[dict[str, Any]]], data: st.DataObject
) -> None:
    batches = batches_of(content)
    shuffled = data.draw(st.permutations(batches))
    existing: dict[Key, Existing] = {}
    found: dict[Key, tuple[str, int]] = {}

    for portion in in_portions(shuffled, data.draw(st.integers(1, 12))):
        settled = settled_of(portion, existing)
        existing, found = written(settled, existing), found | winners(settled)

    assert found == one_by_one(batches)


@given(contents)
def test_what_is_delivered_twice_changes_nothing_the_second_time(content: list[list[dict[str, Any]]]) -> None:
    batches = batches_of(content)
    existing = written(settled_of(batches, {}), {})

    again = settled_of(batches, existing)

    assert again.latest == {}
    assert all(tally.stored == tally.replaced == 0 for tally in again.tallies.values())


@given(contents, st.integers(1, 12))
def test_portions_hold_every_batch_once_in_order(content: list[list[dict[str, Any]]], scores_max: int) -> None:
    batches = batches_of(content)

    portions = in_portions(batches, scores_max)

    assert [batch.batch_id for portion in portions for batch in portion] == [batch.batch_id for batch in batches]
    assert all(len(portion) == 1 or sum(len(batch.scores) for batch in portion) <= scores_max for portion in portions)
