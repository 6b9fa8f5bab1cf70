"""Scores that travel together, and how they are cut out of the buffer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Callable

from assay.buffer import Buffer
from assay.settings import Settings

BATCH_HEAD, BATCH_TAIL = b'{"scores":[', b"]}"


class Batch:
    """Items that are sent in one request until each is settled; then `done` is called, once.

    `place` is that of the first one among all scores of the client.
    """

    def __init__(self, place: int, count: int, read: Callable[[], list[bytes]], done: Callable[[], None]) -> None:
        self.place = place
        self.count = count
        self.read = read
        self.attempts = 0
        self.not_before = 0.0
        self._done = done
        self._left = count

    def settle(self, count: int) -> None:
        """Say that so many of the items need nothing more."""
        self._left -= count
        if self._left == 0:
            self._done()

    def part(self, items: list[bytes]) -> Batch:
        """Return a batch of some of the items, in any form; they are settled here when they are settled there."""
        return Batch(self.place, len(items), lambda: items, lambda: self.settle(len(items)))


def body_of(items: Sequence[bytes]) -> bytes:
    """Return the request's body.

    >>> body_of([b'{"name":"a"}', b'{"name":"b"}'])
    b'{"scores":[{"name":"a"},{"name":"b"}]}'
    """
    return BATCH_HEAD + b",".join(items) + BATCH_TAIL


class Batcher:
    """Cuts batches out of a buffer: by count, by bytes, by age, or at once when it is urgent."""

    def __init__(self, buffer: Buffer, settings: Settings) -> None:
        self._buffer = buffer
        self._settings = settings

    def next(self, urgent: bool) -> Batch | None:
        """Return a batch if one is due."""
        due = self.due_seconds(urgent)
        if due is None or due > 0:
            return None
        place, items = self._buffer.take(self._settings.batch_size, self._settings.batch_bytes)
        if not items:
            return None
        size = sum(map(len, items))
        return Batch(place, len(items), lambda: items, lambda: self._buffer.release(len(items), size))

    def due_seconds(self, urgent: bool) -> float | None:
        """Return how long until a batch is due: None when no score waits, 0 when one is due."""
        count, size, since = self._buffer.waiting()
        if not count:
            return None
        if urgent or count >= self._settings.batch_size or size >= self._settings.batch_bytes:
            return 0.0
        return max(0.0, since + self._settings.batch_age_seconds - time.monotonic())

    def first_waiting(self) -> int:
        """Return the place of the first score that is in no batch yet."""
        return self._buffer.taken

    def waiting_count(self) -> int:
        return self._buffer.waiting()[0]

    def wait(self, seconds: float | None) -> None:
        self._buffer.bell.wait(seconds)

    def wake(self) -> None:
        self._buffer.bell.ring()
