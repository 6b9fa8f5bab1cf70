"""One batch in the worker's hands: an entry of the queue, opened."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from shared.envelope import Envelope, decode, original
from shared.errors import UnreadableEnvelope
from shared.queue import Entry
from shared.scores import QueuedScore


class Place(NamedTuple):
    """A place among the writes of a project: of two writes to one id, the one with the greater place is the later."""

    version: int
    batch_index: int


class Batch(Struct, frozen=True):
    entry: Entry
    envelope: Envelope
    scores: list[QueuedScore]
    batch_id: str
    version: int

    @property
    def project_id(self) -> UUID:
        return self.envelope.project_id

    @property
    def received_at(self) -> datetime:
        return self.envelope.received_at

    def place_of(self, at: int) -> "Place":
        """Of the score at `at`. A replayed score stands alone in its batch and has the place of old."""
        return Place(self.version, self.envelope.index_in_request(at))

    def original(self, at: int) -> str:
        return original(self.envelope, at)


class Unreadable(Struct, frozen=True):
    entry: Entry
    reason: str


def open_entry(entry: Entry) -> Batch | Unreadable:
    try:
        envelope, scores = decode(entry.data)
    except UnreadableEnvelope as error:
        return Unreadable(entry, error.detail)
    return batch_of(entry, envelope, scores)


def batch_of(entry: Entry, envelope: Envelope, scores: list[QueuedScore]) -> Batch:
    return Batch(entry, envelope, scores, entry.batch_id, entry.version)


def in_portions(batches: Iterable[Batch], scores_max: int) -> list[list[Batch]]:
    """The batches in portions of about `scores_max` scores; a larger batch is a portion of its own."""
    portions: list[list[Batch]] = []
    room = 0
    for batch in batches:
        if not portions or len(batch.scores) > room:
            portions.append([])
            room = scores_max
        portions[-1].append(batch)
        room -= len(batch.scores)
    return portions
