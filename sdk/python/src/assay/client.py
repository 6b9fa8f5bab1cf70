"""The client: takes scores at the call, has them sent in the background, and reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Union

from assay import lifecycle
from assay.background import Background
from assay.context import current_trace_id
from assay.counters import Counters
from assay.errors import ConfigurationError, InvalidScore
from assay.ids import new_score_id
from assay.reading import Reading
from assay.settings import Settings, make_settings
from assay.tracing import Scoring
from assay.trouble import OnError, logger
from assay.wire import Value, encode_score

Timestamp = Union[datetime, str, float]


class Client(Scoring, Reading):
    """Sends and reads the scores of one project.

    Safe to use from any thread, and in the child of a fork. `Client(api_key=…, batch_size=…)` takes every setting of
    `assay.settings.Settings`; `on_error` is called with a `Trouble` when a score is rejected, when scores are dropped,
    and while they can't be delivered; mostly by a thread that sends, so keep it short. Use it as a context manager, or
    call `shutdown`; else what waits is sent when the interpreter ends.
    Raises ConfigurationError for a setting that can't be.

    >>> client = Client(api_key="assay_x", enabled=False)
    >>> client.score("relevance", 0.9, trace_id="t1", id="s1")
    's1'
    """

    def __init__(self, *, on_error: OnError | None = None, **settings: Any) -> None:
        self.settings: Settings = make_settings(settings)
        self._on_error = on_error
        self._closed = False
        self._background = Background(self.settings, on_error, self)
        Reading.__init__(self, self.settings)
        if self.settings.sends:
            lifecycle.remember(self)
            if self.settings.spool_dir:
                self._background.start()  # what a crash left behind is sent even if nothing is scored
        elif self.settings.enabled:
            self._miss_key()

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
        return self._flush(timeout)

    def shutdown(self, timeout: float | None = None) -> bool:
        """Flush, and stop for good. Return whether nothing was given up.

        Waits at most `timeout` seconds (default: the setting `shutdown_seconds`), one of them at most for the last
        receipts. What could not be sent by then is counted and logged as dropped, or stays in the spool, if there is
        one. Calling it again does nothing.
        """
        if self._closed:
            return True
        if not self.settings.sends:
            self._closed = True
            self.close_reading()
            return True
        timeout = self.settings.shutdown_seconds if timeout is None else timeout
        deadline = time.monotonic() + timeout
        self.flush(timeout)
        self._closed = True
        lifecycle.forget(self)
        settled = self._background.stop(max(0.0, deadline - time.monotonic()))
        self.close_reading()
        return settled

    def counters(self) -> Counters:
        """Return what became of the scores so far."""
        return self._background.counters()

    def is_open(self) -> bool:
        """Return whether it was not shut down yet."""
        return not self._closed

    def on_error(self, callback: OnError | None) -> None:
        """Call another function from now on."""
        self._on_error = callback
        self._background.troubles.on_error = callback

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def after_fork(self) -> None:
        """Start afresh in the child of a fork: what waits is the parent's, and so is its connection."""
        self._background.abandon()
        self._background = Background(self.settings, self._on_error, self)
        Reading.__init__(self, self.settings)

    def _flush(self, timeout: float | None, given_up: threading.Event | None = None) -> bool:
        return self._background.flush(timeout, given_up) if self.settings.sends else True

    def _take_over(self, item: bytes) -> None:
        if self.settings.sends:
            self._background.put(item)
        elif self.settings.enabled:
            self._background.tally.add("outside", 1)
            self._background.tally.drop("no_api_key", 1)

    def _refuse(self, error: InvalidScore, fields: dict[str, Any]) -> None:
        """Raise it if strict; else have it counted and told."""
        if self.settings.strict:
            raise error
        self._background.refuse(error, fields)

    def _miss_key(self) -> None:
        missing = "There is no API key: give api_key, or set ASSAY_API_KEY. Scores are dropped."
        if self.settings.strict:
            raise ConfigurationError(missing)
        logger.warning(missing)
