"""Wakes one waiting thread. `ring` costs next to nothing, never blocks, and is safe in a signal handler."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Bell:
    """Rings that came together, or while nobody waited, count once."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        self._rings.put(None)

    def wait(self, seconds: float | None) -> None:
        """Wait for a ring, at most so long; None for ever."""
        try:
            self._rings.get(timeout=seconds)
            while True:
                self._rings.get_nowait()
        except Empty:
            return
