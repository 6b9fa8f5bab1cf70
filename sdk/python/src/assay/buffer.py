"""Where scores wait between the call and the sender: bounded in number and bytes, and never locked across I/O.

What was taken out still counts as held until it is released, so that the bounds cover what is being sent too.
The lock may be taken again by its holder, so `put` is safe in a signal handler.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable

from assay.bell import Bell


class Buffer:
    """`bell` rings when the first score comes, and at every `wake_at` that wait. `dropped` is called with how many
    were given up and why."""

    def __init__(
        self, scores_max: int, bytes_max: int, *, when_full: str, wake_at: int, dropped: Callable[[int, str], None]
    ) -> None:
        self._scores_max = scores_max
        self._bytes_max = bytes_max
        self._when_full = when_full
        self._wake_at = wake_at
        self._dropped = dropped
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self.bell = Bell()
        self._items: deque[bytes] = deque()
        self._aside: deque[bytes] = deque()
        self._inside = False
        self._waiting_bytes = 0
        self._held_scores = 0
        self._held_bytes = 0
        self._oldest_at = 0.0
        self._closed = False
        self.scored = 0
        self.accepted = 0  # ever appended: the place of an item among all is what this was before it
        self.taken = 0  # ever removed again: the place of the first one that waits

    def put(self, item: bytes) -> None:
        """Take an item over, or give one up as `when_full` says.

        A signal handler that scores while its own thread is in here lays its item aside: half done sums stay right.
        """
        with self._lock:
            if self._inside:
                self._aside.append(item)
                return
            self._inside = True
            try:
                self._put(item)
            finally:
                self._inside = False
        while self._aside:
            self.put(self._aside.popleft())

    def take(self, scores_max: int, bytes_max: int) -> tuple[int, list[bytes]]:
        """Return the place of the oldest item and the oldest items: at most so many and so many bytes, but one at
        least, if there is any.
        """
        with self._lock:
            place = self.taken
            taken: list[bytes] = []
            size = 0
            while self._items and len(taken) < scores_max and (not taken or size + len(self._items[0]) < bytes_max):
                size += len(self._items[0])
                taken.append(self._items.popleft())
            self._waiting_bytes -= size
            self.taken += len(taken)
            self._oldest_at = time.monotonic()
            return place, taken

    def release(self, scores: int, size: int) -> None:
        """Say that taken items are settled, and need no room any more."""
        with self._lock:
            self._held_scores -= scores
            self._held_bytes -= size
            self._room.notify_all()

    def close(self) -> int:
        """Refuse further items, and return how many were waiting and are given up now."""
        with self._lock:
            self._closed = True
            left = len(self._items)
            size, self._waiting_bytes = self._waiting_bytes, 0
            self._items.clear()
            self.taken += left
            self.release(left, size)
            return left

    def waiting(self) -> tuple[int, int, float]:
        """Return how many items wait, their bytes, and since when the oldest may wait (monotonic seconds)."""
        return len(self._items), self._waiting_bytes, self._oldest_at

    def _put(self, item: bytes) -> None:
        size = len(item)
        self.scored += 1
        given_up = self._make_room(size) if self._is_full(size) else 0
        taken = not self._closed and not self._is_full(size)
        if taken:
            self._append(item, size)
        if given_up or not taken:
            self._dropped(given_up + (not taken), "shut_down" if self._closed else "queue_full")

    def _is_full(self, size: int) -> bool:
        return self._held_scores >= self._scores_max or self._held_bytes + size > self._bytes_max

    def _append(self, item: bytes, size: int) -> None:
        if not self._items:
            self._oldest_at = time.monotonic()
        self._items.append(item)
        self.accepted += 1
        self._waiting_bytes += size
        self._held_scores += 1
        self._held_bytes += size
        waiting = len(self._items)
        if waiting == 1 or waiting % self._wake_at == 0:
            self.bell.ring()

    def _make_room(self, size: int) -> int:
        """Return how many items were given up for a new one of this size."""
        given_up = 0
        while self._when_full == "drop_oldest" and self._items and self._is_full(size):
            oldest = len(self._items.popleft())
            self._waiting_bytes -= oldest
            self._held_scores -= 1
            self._held_bytes -= oldest
            self.taken += 1
            given_up += 1
        while self._when_full == "block" and not self._closed and self._is_full(size):
            self.bell.ring()
            self._inside = False  # others may come in meanwhile
            self._room.wait()
            self._inside = True
        return given_up
