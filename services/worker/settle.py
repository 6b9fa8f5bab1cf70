"""Decide what becomes of each score that obeys its rules: stored, replaced or unchanged. Latest received wins. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from services.worker.batch import Batch, Place
from services.worker.judge import Candidate, Key, Rejection


class Existing(NamedTuple):
    """A score that is in the database under the same id."""

    place: Place
    created_at: datetime


class Tally:
    """What became of the scores of one batch; their sum is the number of its scores."""

    __slots__ = ("rejected", "replaced", "stored", "unchanged")

    def __init__(self) -> None:
        self.stored = self.replaced = self.unchanged = self.rejected = 0


class Settled(NamedTuple):
    """`latest` holds one candidate per id, those that are to be in the database afterwards."""

    latest: dict[Key, Candidate]
    tallies: dict[str, Tally]


def settle(
    batches: Iterable[Batch],
    candidates: Iterable[Candidate],
    rejections: Iterable[Rejection],
    existing: Mapping[Key, Existing],
    deleted: Mapping[Key, int],
) -> Settled:
    """As if the candidates were written one by one, in the order given, which is the order of their places.

    `deleted` has the versions up to which ids are deleted: a copy from before the delete changes nothing.
    """
    tallies = {batch.batch_id: Tally() for batch in batches}
    latest: dict[Key, Candidate] = {}
    for candidate in candidates:
        key = candidate.key
        tally = tallies[candidate.batch.batch_id]
        before = existing.get(key) if existing else None
        if (existing or deleted) and _is_late(candidate.place, before, deleted.get(key)):
            tally.unchanged += 1
            continue
        if before is None and key not in latest:
            tally.stored += 1
        else:
            tally.replaced += 1
        latest[key] = candidate
    for rejection in rejections:
        tallies[rejection.batch.batch_id].rejected += 1
    return Settled(latest, tallies)


def _is_late(place: Place, before: Existing | None, deleted_up_to: int | None) -> bool:
    """Whether a newer write, or a delete, was received after the score at this place."""
    if before is not None and before.place >= place:
        return True
    return deleted_up_to is not None and deleted_up_to >= place.version
