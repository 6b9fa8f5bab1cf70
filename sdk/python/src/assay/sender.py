"""Sends batches until each score is settled: one thread, one connection, no lock held across a request.

A batch leaves by an answer that settles its scores, or when the client is shut down; never because it failed often.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from assay.backoff import LONGEST_SECONDS, pause_seconds
from assay.batch import Batch, body_of
from assay.counters import Tally
from assay.ingest import Ingest
from assay.outcome import Fate, Outcome, Refusal
from assay.receipts import Receipts
from assay.settings import Settings
from assay.trouble import Trouble, Troubles, logger
from assay.wire import without_stamp

_URGENT_PAUSE_SECONDS = 1.0
_FAILURES_TOLD = 3  # fewer are everyday life: a restart of the server
_CLOCK_CODE = "timestamp_in_future"


class Source(Protocol):
    """Where batches come from: the buffer, or the spool behind it."""

    def next(self, urgent: bool) -> Batch | None: ...
    def due_seconds(self, urgent: bool) -> float | None: ...
    def first_waiting(self) -> int: ...
    def waiting_count(self) -> int: ...
    def wait(self, seconds: float | None) -> None: ...
    def wake(self) -> None: ...


class Sender:
    """`step` does one thing: it sends one batch, or says how long there is nothing to do."""

    def __init__(
        self, settings: Settings, source: Source, tally: Tally, troubles: Troubles, receipts: Receipts
    ) -> None:
        self._ingest = Ingest(settings)
        self._source = source
        self._receipts = receipts
        self._tally = tally
        self._troubles = troubles
        self._waiting: deque[Batch] = deque()
        self._in_hand: Batch | None = None
        self._failures = 0
        self._not_before = 0.0
        self._asked_until = 0.0
        self._urgent = 0
        self._stopping = False
        self._progress = threading.Condition()
        self.barred = False
        self.settled_through = 0  # the place of the first score that is not settled

    def run(self) -> None:
        """Send until stopped, and close the connection."""
        self._receipts.start()
        try:
            while not self._stopping:
                pause = self.step()
                if pause is None or pause > 0:
                    self._source.wait(pause)
        finally:
            self.close()

    def step(self) -> float | None:
        """Send one batch, if one is due. Return the seconds until the next step; None: when woken."""
        untold = self._troubles.tell()
        self._publish()
        now = time.monotonic()
        if now < self._not_before:
            return _sooner(self._not_before - now, untold)
        batch = self._next_batch(now)
        if batch is None:
            return _sooner(self._due_seconds(now), untold)
        try:
            self._deliver(batch)
        except Exception as error:  # noqa: BLE001  a fault of ours must not end the thread, nor lose the batch
            logger.exception("a batch could not be sent")
            self.close()
            self._put_off(batch, Outcome(Fate.BEHIND, code="client_error", detail=str(error)))
        self._in_hand = None
        return 0.0

    def hurry(self) -> None:
        """Have what waits sent now: not waiting for more, and trying before a pause is over that was not asked for."""
        self._urgent += 1
        self.barred = False
        self._not_before = self._asked_until
        for batch in self._waiting.copy():
            batch.not_before = 0.0
        self._source.wake()

    def relax(self) -> None:
        self._urgent -= 1

    def wait_progress(self, place: int, seconds: float) -> None:
        """Wait until every score before a place is settled, or the way is barred, or so long."""
        with self._progress:
            self._progress.wait_for(lambda: self.settled_through >= place or self.barred, seconds)

    def stop(self) -> None:
        """Have `run` return after what is in hand."""
        self._stopping = True
        self._source.wake()

    def give_up(self) -> int:
        """Take out all batches that wait and return how many scores they have."""
        given_up = 0
        while self._waiting:
            batch = self._waiting.popleft()
            given_up += batch.count
            batch.settle(batch.count)
        return given_up

    def in_hand_count(self) -> int:
        in_hand = self._in_hand
        return in_hand.count if in_hand else 0

    def close(self) -> None:
        self._ingest.close()

    def abandon(self) -> None:
        """Forget the connection: in the child of a fork it belongs to the parent."""
        self._ingest.abandon()

    def _publish(self) -> None:
        """Say how far everything is settled. Only the sending thread calls it, between batches."""
        through = min([self._source.first_waiting(), *(batch.place for batch in self._waiting)])
        if through != self.settled_through or self.barred:
            with self._progress:
                self.settled_through = through
                self._progress.notify_all()

    def _next_batch(self, now: float) -> Batch | None:
        for index, batch in enumerate(self._waiting):
            if batch.not_before <= now:
                self._in_hand = batch
                del self._waiting[index]
                return batch
        self._in_hand = self._source.next(self._urgent > 0)
        return self._in_hand

    def _due_seconds(self, now: float) -> float | None:
        retries = [batch.not_before - now for batch in self._waiting]
        return _sooner(min(retries) if retries else None, self._source.due_seconds(self._urgent > 0))

    def _deliver(self, batch: Batch) -> None:
        items = batch.read()
        if len(items) < batch.count:
            self._lose(batch, batch.count - len(items))
        if not items:
            return
        if batch.attempts:
            self._tally.add("retried", len(items))
        batch.attempts += 1
        outcome = self._ingest.post(body_of(items))
        self.barred = outcome.fate is Fate.BARRED
        if outcome.fate is Fate.SETTLED:
            self._settle(batch, items, outcome.refusals)
            self._receipts.remember(outcome.batch_id)
        elif outcome.fate is Fate.HALVE:
            self._halve(batch, items, outcome)
        else:
            self._put_off(batch, outcome)

    def _settle(self, batch: Batch, items: list[bytes], refusals: Sequence[Refusal]) -> None:
        ahead = [refusal.place for refusal in refusals if refusal.code == _CLOCK_CODE]
        early = [place for place in ahead if without_stamp(items[place])]
        for refusal in refusals:
            if refusal.place not in early:
                self._refuse(refusal.code, refusal.detail, items[refusal.place])
        if early:
            self._send_unstamped(batch, [items[index] for index in early])
        self._tally.add("sent", len(items) - len(refusals))
        batch.settle(len(items) - len(early))
        self._recover()

    def _send_unstamped(self, batch: Batch, items: list[bytes]) -> None:
        """Send these again without the time of a clock that is ahead: the server's own is the better one."""
        self._waiting.appendleft(batch.part([without_stamp(item) or item for item in items]))

    def _halve(self, batch: Batch, items: list[bytes], outcome: Outcome) -> None:
        if len(items) == 1:
            self._refuse(outcome.code, outcome.detail, items[0])
            batch.settle(1)
        else:
            middle = len(items) // 2
            self._waiting.extendleft([batch.part(items[middle:]), batch.part(items[:middle])])
        self._recover()

    def _put_off(self, batch: Batch, outcome: Outcome) -> None:
        self._failures += 1
        now = time.monotonic()
        longest = _URGENT_PAUSE_SECONDS if self._urgent else LONGEST_SECONDS
        asked = outcome.retry_after_seconds
        self._not_before = now + pause_seconds(self._failures, asked, longest)
        if outcome.fate is Fate.BEHIND:  # others have a turn before it
            batch.not_before = self._not_before + pause_seconds(batch.attempts, None, longest)
            self._waiting.append(batch)
        else:
            self._waiting.appendleft(batch)
        self._asked_until = self._not_before if asked else 0.0
        if self._failures >= _FAILURES_TOLD or outcome.fate is Fate.BARRED:
            waiting = sum(one.count for one in self._waiting) + self._source.waiting_count()
            self._troubles.add(Trouble("delayed", outcome.code, outcome.detail, waiting))

    def _lose(self, batch: Batch, count: int) -> None:
        """Count what somebody took away of a batch's file in the spool, or the whole file."""
        self._tally.drop("spool_lost", count)
        self._troubles.add(Trouble("dropped", "spool_lost", "their file in the spool is gone, or was cut", count))
        batch.count -= count
        batch.settle(count)

    def _recover(self) -> None:
        self._failures = 0
        self._not_before = self._asked_until = 0.0
        if self._troubles.forget("delayed"):
            logger.info("scores are delivered again")

    def _refuse(self, code: str, detail: str, item: bytes) -> None:
        self._tally.reject(code)
        self._troubles.refuse(code, detail, _score_of(item))


def _score_of(item: bytes) -> dict[str, Any]:
    """Return the score; where it is none, as a damaged line of a spool may be, its beginning."""
    try:
        score = json.loads(item)
    except ValueError:
        score = None
    return score if isinstance(score, dict) else {"text": item[:1000].decode("utf-8", "replace")}


def _sooner(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
