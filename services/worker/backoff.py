"""How long to wait before trying again: longer each time, never the same for two workers."""

import random
from collections.abc import Iterator


def waits(first_seconds: float = 0.1, max_seconds: float = 5.0) -> Iterator[float]:
    """Doubling up to `max_seconds`, each between half and whole ("equal jitter"). Endless."""
    seconds = first_seconds
    while True:
        yield seconds * (0.5 + random.random() / 2)  # noqa: S311 - nobody guesses this
        seconds = min(seconds * 2, max_seconds)
