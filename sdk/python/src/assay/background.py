"""What runs behind a client: the buffer, the threads that send from it, and the counts. A fork makes it anew."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from assay import lifecycle
from assay.batch import Batcher
from assay.buffer import Buffer
from assay.counters import Counters, Tally
from assay.errors import InvalidScore
from assay.receipts import Receipts
from assay.sender import Sender, Source
from assay.settings import Settings
from assay.trouble import OnError, Trouble, Troubles, logger

if TYPE_CHECKING:
    from assay.spool import Spool

_LOOK_SECONDS = 0.5  # how soon a flush hears that nobody waits for it any more
_REASONS = {
    "queue_full": "the queue is full",
    "shut_down": "the client was shut down before they could be sent",
}


class Background:
    """`put` and `refuse` cost microseconds; `flush` and `stop` wait. The threads start with the first score."""

    def __init__(self, settings: Settings, on_error: OnError | None, living: lifecycle.Living) -> None:
        self._settings = settings
        self._living = living
        self.tally = Tally()
        self.troubles = Troubles(settings.log_seconds, on_error)
        self._buffer = Buffer(
            settings.queue_size,
            settings.queue_bytes,
            when_full=settings.when_full,
            wake_at=settings.batch_size,
            dropped=self._drop,
        )
        self._spool = _spool(self._buffer, settings, self.tally) if settings.spool_dir else None
        source: Source = self._spool or Batcher(self._buffer, settings)
        self._receipts = Receipts(settings, self.tally, self.troubles)
        self._sender = Sender(settings, source, self.tally, self.troubles, self._receipts)
        self._thread: threading.Thread | None = None
        self._right_to_start = deque([None])

    def put(self, item: bytes) -> None:
        """Take over one score as JSON."""
        self._buffer.put(item)
        if self._thread is None:
            self.start()

    def refuse(self, error: InvalidScore, fields: dict[str, Any]) -> None:
        """Count a score that can't be one, and have it told by the sending thread."""
        self.tally.add("outside", 1)
        self.tally.reject(error.code)
        self.troubles.refuse(error.code, error.detail, fields)
        self.start()
        self._buffer.bell.ring()

    def counters(self) -> Counters:
        return self.tally.counters(self._buffer.scored)

    def start(self) -> bool:
        """Start the sending thread, if it isn't there. Return False when none can be: at the interpreter's end."""
        if not self._settings.sends:
            return False
        try:
            # Whoever gets it starts the thread, and nobody else: not even a signal handler that scores meanwhile.
            self._right_to_start.pop()
        except IndexError:
            return self._thread is None or self._thread.is_alive()
        thread = threading.Thread(target=self._sender.run, name="assay-sender", daemon=True)
        try:
            if self._spool is not None:
                self._spool.start()
            thread.start()
        except RuntimeError:  # "can't start new thread at interpreter shutdown"
            self._right_to_start.append(None)
            return False
        self._thread = thread
        lifecycle.end_with_process(self._living)
        return True

    def flush(self, timeout: float | None, given_up: threading.Event | None = None) -> bool:
        """Send what was put so far; return whether all of it is settled.

        Returns False after `timeout` seconds, when the server bars the way, soon after `given_up` is set, and at once
        in `on_error`: it is called by the thread that would have to send.
        """
        if self._thread is threading.current_thread():
            return False
        target = self._buffer.accepted
        deadline = None if timeout is None else time.monotonic() + timeout
        self._sender.hurry()
        inline = not self.start()
        try:
            return self._settled(target, deadline, inline, given_up)
        finally:
            self._sender.relax()
            self._receipts.look_soon()

    def stop(self, seconds: float) -> bool:
        """End the threads; return whether nothing was given up. At most `seconds` are spent on the last receipts."""
        self._sender.stop()
        if self._spool is not None:
            self._spool.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(0.5)
        self._give_up()
        if thread is None:
            self._sender.close()
        self._receipts.stop(seconds)
        self.troubles.tell(everything=True)
        return self._buffer.accepted == self._sender.settled_through

    def abandon(self) -> None:
        """Let go, in the child of a fork, of what is the parent's: its connection and its files."""
        self._sender.abandon()
        if self._spool is not None:
            self._spool.abandon()

    def _settled(self, target: int, deadline: float | None, inline: bool, given_up: threading.Event | None) -> bool:
        sender = self._sender
        while sender.settled_through < target:
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
            if left <= 0 or sender.barred or (given_up is not None and given_up.is_set()):
                return False
            if inline:
                pause = sender.step()
                left = min(left, 0.05 if pause is None else pause)
            sender.wait_progress(target, left)
        return True

    def _give_up(self) -> None:
        """Count what is left in memory as dropped."""
        on_the_way = self._sender.in_hand_count()
        if self._spool is None:
            given_up = self._buffer.close() + self._sender.give_up()
            if given_up:
                self._drop(given_up, "shut_down")
        if on_the_way:
            logger.warning("%d scores were on their way at the end and may not have arrived", on_the_way)

    def _drop(self, count: int, reason: str) -> None:
        self.tally.drop(reason, count)
        self.troubles.add(Trouble("dropped", reason, _REASONS[reason], count))


def _spool(buffer: Buffer, settings: Settings, tally: Tally) -> Spool:
    from assay.spool import Spool  # few need it, and it costs time to import

    return Spool(buffer, settings, tally)
