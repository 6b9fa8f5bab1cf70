"""What became of the scores of a client, in numbers."""

from __future__ import annotations

import threading
from collections import Counter
from typing import NamedTuple


class Counters(NamedTuple):
    """A moment's count. `scored + recovered = sent + rejected + dropped + pending`, always.

    * `scored`: calls of `score()` and the like. `recovered`: found in the spool of a program that had crashed.
    * `sent`: taken in by the server. `rejected`: refused, by the server or at the call.
    * `dropped`: given up, see `dropped_because`. `pending`: waiting or on their way.
    * `retried`: scores that were sent once more, each time counted.
    * `rejected_later`: of those sent, how many broke a rule of their project, as far as the receipts say that were
      asked for (the setting `receipts_seconds`). They are kept by the server: `client.rejected()` lists them.
    """

    scored: int
    sent: int
    retried: int
    rejected: int
    dropped: int
    recovered: int
    pending: int
    rejected_because: dict[str, int]
    dropped_because: dict[str, int]
    rejected_later: int
    rejected_later_because: dict[str, int]


class Tally:
    """Counts that threads add to. The lock may be taken again by its holder: a signal handler may score."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._rejected_later: Counter[str] = Counter()

    def add(self, name: str, number: int) -> None:
        with self._lock:
            self._counts[name] += number

    def reject(self, code: str, number: int = 1) -> None:
        with self._lock:
            self._rejected[code] += number

    def reject_later(self, code: str) -> None:
        with self._lock:
            self._rejected_later[code] += 1

    def drop(self, reason: str, number: int) -> None:
        with self._lock:
            self._dropped[reason] += number

    def counters(self, buffered: int) -> Counters:
        """Return the counts, of which the buffer has seen so many; what is pending follows from all others."""
        with self._lock:
            scored = buffered + self._counts["outside"]
            counts, rejected, dropped = self._counts, dict(self._rejected), dict(self._dropped)
            settled = counts["sent"] + sum(rejected.values()) + sum(dropped.values())
            return Counters(
                scored=scored,
                sent=counts["sent"],
                retried=counts["retried"],
                rejected=sum(rejected.values()),
                dropped=sum(dropped.values()),
                recovered=counts["recovered"],
                pending=scored + counts["recovered"] - settled,
                rejected_because=rejected,
                dropped_because=dropped,
                rejected_later=sum(self._rejected_later.values()),
                rejected_later_because=dict(self._rejected_later),
            )
