"""What is told of a request that is refused before the app sees it: an id, and a line in the log as for any other.

Refusals come in floods, and cost whoever sends them nothing: each reason has one line a second at most, which says how
many since the one before had none. All are counted (`Connections.count_cut`).
"""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from shared.ids import uuid7

log = structlog.get_logger()

LINE_SECONDS = 1.0  # between two lines of one reason


class Refusals:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_line_at: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def tell(self, reason: str, status: int) -> str:
        """The id for the answer. It is ours: where the head is not whole, nobody has chosen one."""
        request_id = uuid7()
        now = self._clock()
        if now < self._next_line_at.get(reason, now):
            self._untold[reason] += 1
        else:
            self._next_line_at[reason] = now + LINE_SECONDS
            untold = self._untold.pop(reason, 0)
            log.info("request_refused", request_id=request_id, status=status, reason=reason, untold=untold)
        return request_id
