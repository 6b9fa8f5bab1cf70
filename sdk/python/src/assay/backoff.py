"""How long to wait before the next try."""

from __future__ import annotations

import random

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 30.0


def pause_seconds(failures: int, asked: float | None = None, longest: float = LONGEST_SECONDS) -> float:
    """Return the pause after so many failures in a row: doubling, with half of it by chance; never less than asked.

    >>> 0.125 <= pause_seconds(1) <= 0.25
    True
    >>> pause_seconds(1, asked=7) >= 7
    True
    """
    full = min(longest, FIRST_SECONDS * 2.0 ** min(failures - 1, 30))
    jittered = full * random.uniform(0.5, 1.0)
    return jittered if asked is None else max(jittered, asked * random.uniform(1.0, 1.1))
