"""The client: takes scores at the call, has them sent in the background, and reads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Union

from assay import lifecycle
from assay.batch import Batcher
from assay.buffer import Buffer
from assay.context import current_trace_id
from assay.counters import Counters, Tally
from assay.errors import ConfigurationError, InvalidScore
from assay.ids import new_score_id
from assay.reading import Reading
from assay.sender import Sender, Source
from assay.settings import Settings, make_settings
from assay.tracing import Scoring
from assay.trouble import OnError, Trouble, Troubles, logger
from assay.wire import Value, encode_score

if TYPE_CHECKING:
    from assay.spool import Spool

Timestamp = Union[datetime, str, float]


class Client(Scoring, Reading):
    """Sends and reads the scores of one project.

    Safe to use from any thread, and in the child of a fork. `Client(api_key=…, batch_size=…)` takes every setting of
    `assay.settings.Settings`; `on_error` is called with a `Trouble` when a score is rejected, when scores are dropped,
    and while they can't be delivered; from the sending thread, so keep it short. Use it as a context manager, or call
    `shutdown`; else what waits is sent when the interpreter ends.
    Raises ConfigurationError for a setting that can't be.

    >>> client = Client(api_key="assay_x", enabled=False)
    >>> client.score("relevance", 0.9, trace_id="t1", id="s1")
    's1'
    """

    def __init__(self, *, on_error: OnError | None = None, **settings: Any) -> None:
        self.settings: Settings = make_settings(settings)
        self._on_error = on_error
        self._closed = False
        self._open()
        Reading.__init__(self, self.settings)
        if self.settings.enabled and not self.settings.api_key:
            self._miss_key()
        elif self.settings.enabled:
            lifecycle.remember(self)
            if self._spool is not None:
                self._start()  # what a crash left behind is sent even if nothing is scored

    def score(
        self,
        name: str | None = None,
        value: Value | None = None,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        comment: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        config_id: str | None = None,
        source: str | None = None,
        author: str | None = None,
        environment: str | None = None,
        timestamp: Timestamp | None = None,
        id: str | None = None,
    ) -> str:
        """Take over one score and return its id. Costs microseconds, does no I/O, and never raises unless strict.

        Without a target it is about the current trace. `value` decides the data type: a number, a text (a category),
        or True and False; scalars of numpy and torch count as what they hold. `timestamp` is when it was judged
        (default: now). The same id again replaces the score. `source` is SDK (default), HUMAN, LLM_JUDGE or EXTERNAL.
        With strict=True, raises InvalidScore for what can't be a score.
        """
        score_id = id or new_score_id()
        if trace_id is None and span_id is None and session_id is None and user_id is None:
            trace_id = current_trace_id()
        fields = {
            "id": score_id,
            "trace_id": trace_id,
            "span_id": span_id,
            "session_id": session_id,
            "user_id": user_id,
            "name": name,
            "value": value,
            "source": source,
            "author": author,
            "environment": environment or self.settings.environment,
            "config_id": config_id,
            "comment": comment,
            "metadata": metadata,
            "timestamp": timestamp,
        }
        try:
            item = encode_score(fields)
        except InvalidScore as error:
            self._refuse(error, fields)
        except Exception as error:  # noqa: BLE001  an object of the caller's that can't be asked what it is
            self._refuse(InvalidScore("malformed", f"{type(error).__name__}: {error}"), fields)
        else:
            self._take_over(item)
        return score_id

    def flush(self, timeout: float | None = None) -> bool:
        """Send what was scored so far, and return whether each of it was taken in or refused by the server.

        Waits at most `timeout` seconds (None: as long as it takes). Returns False at once when the server bars the
        way: a wrong key or address.
        """
        if not self._sends():
            return True
        target = self._buffer.accepted
        deadline = None if timeout is None else time.monotonic() + timeout
        sender = self._sender
        sender.hurry()
        inline = not self._start()
        try:
            return _settled(sender, target, deadline, inline)
        finally:
            sender.relax()

    def shutdown(self, timeout: float | None = None) -> bool:
        """Flush, and stop for good. Return whether nothing was given up.

        Waits at most `timeout` seconds (default: the setting `shutdown_seconds`). What could not be sent by then is
        counted and logged as dropped, or stays in the spool, if there is one. Calling it again does nothing.
        """
        if self._closed or not self._sends():
            return True
        timeout = self.settings.shutdown_seconds if timeout is None else timeout
        self.flush(timeout)
        self._closed = True
        lifecycle.forget(self)
        self._stop()
        self._troubles.tell(everything=True)
        self.close_reading()
        return self._buffer.accepted == self._sender.settled_through

    def counters(self) -> Counters:
        """Return what became of the scores so far."""
        return self._tally.counters(self._buffer.scored)

    def is_open(self) -> bool:
        """Return whether it was not shut down yet."""
        return not self._closed

    def on_error(self, callback: OnError | None) -> None:
        """Call another function from now on."""
        self._on_error = callback
        self._troubles.on_error = callback

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def after_fork(self) -> None:
        """Start afresh in the child of a fork: what waits is the parent's, and so is its connection."""
        self._sender.abandon()
        if self._spool is not None:
            self._spool.abandon()
        self._open()
        Reading.__init__(self, self.settings)

    def _open(self) -> None:
        settings = self.settings
        self._tally = Tally()
        self._troubles = Troubles(settings.log_seconds, self._on_error)
        self._buffer = Buffer(
            settings.queue_size,
            settings.queue_bytes,
            when_full=settings.when_full,
            wake_at=settings.batch_size,
            dropped=self._drop,
        )
        self._spool = _spool(self._buffer, settings, self._tally) if settings.spool_dir else None
        source: Source = self._spool or Batcher(self._buffer, settings)
        self._sender = Sender(settings, source, self._tally, self._troubles)
        self._thread: threading.Thread | None = None
        self._right_to_start = deque([None])

    def _take_over(self, item: bytes) -> None:
        if not self._sends():
            if self.settings.enabled:
                self._tally.add("outside", 1)
                self._tally.drop("no_api_key", 1)
            return
        self._buffer.put(item)
        if self._thread is None:
            self._start()

    def _sends(self) -> bool:
        return self.settings.enabled and bool(self.settings.api_key)

    def _start(self) -> bool:
        """Start the sending thread, if it isn't there. Return False when none can be: at the interpreter's end."""
        if not self._sends():
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
        lifecycle.end_with_process(self)
        return True

    def _stop(self) -> None:
        self._sender.stop()
        if self._spool is not None:
            self._spool.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(0.5)
        on_the_way = self._sender.in_hand_count()
        waiting = self._buffer.close() if self._spool is None else 0
        given_up = waiting + (self._sender.give_up() if self._spool is None else 0)
        if given_up:
            self._drop(given_up, "shut_down")
        if on_the_way:
            logger.warning("%d scores were on their way at the end and may not have arrived", on_the_way)
        if thread is None:
            self._sender.close()

    def _drop(self, count: int, reason: str) -> None:
        self._tally.drop(reason, count)
        self._troubles.add(Trouble("dropped", reason, _REASONS[reason], count))

    def _refuse(self, error: InvalidScore, fields: dict[str, Any]) -> None:
        """Raise it if strict; else count it and have it told by the sending thread."""
        if self.settings.strict:
            raise error
        self._tally.add("outside", 1)
        self._tally.reject(error.code)
        self._troubles.refuse(error.code, error.detail, None, fields)
        self._start()
        self._buffer.bell.ring()

    def _miss_key(self) -> None:
        missing = "There is no API key: give api_key, or set ASSAY_API_KEY. Scores are dropped."
        if self.settings.strict:
            raise ConfigurationError(missing)
        logger.warning(missing)


_REASONS = {
    "queue_full": "the queue is full",
    "shut_down": "the client was shut down before they could be sent",
}


def _spool(buffer: Buffer, settings: Settings, tally: Tally) -> Spool:
    from assay.spool import Spool  # few need it, and it costs time to import

    return Spool(buffer, settings, tally)


def _settled(sender: Sender, target: int, deadline: float | None, inline: bool) -> bool:
    while sender.settled_through < target:
        left = 3600.0 if deadline is None else deadline - time.monotonic()
        if left <= 0 or sender.barred:
            return False
        if inline:
            pause = sender.step()
            sender.wait_progress(min(left, 0.05 if pause is None else pause))
        else:
            sender.wait_progress(left)
    return True
