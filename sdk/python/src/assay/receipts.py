"""Asks what became of batches after they were taken in, so that what breaks a rule of its project is told here too.

A thread of its own asks the api now and then for the receipts of the last batches, one small request for each. Neither
the caller nor the sender waits for it, and what it can't learn it lets go: it tells more than would be known without
it, and is no account. It does nothing where the api is not known or the key may not read.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any
from urllib.parse import quote

from assay.access import Access
from assay.bell import Bell
from assay.counters import Tally
from assay.errors import ApiError, NotFound, Unreachable
from assay.settings import Settings
from assay.trouble import Troubles, logger

BATCHES_MAX = 1000  # of older ones nothing is learnt
LAST_LOOK_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 300.0
_FIRST_PAUSE_SECONDS = 0.5  # a worker has done by then, if nothing else waits
_FORBIDDEN = 403


class Receipts:
    """Remembers batch ids, and looks after them until each has its receipt."""

    def __init__(self, settings: Settings, tally: Tally, troubles: Troubles) -> None:
        self._every_seconds = settings.receipts_seconds
        self._api = Access(settings.api_url, settings, tries=1)
        self._tally = tally
        self._troubles = troubles
        self._batch_ids: deque[str] = deque(maxlen=BATCHES_MAX)
        self._bell = Bell()
        self._is_on = settings.receipts_seconds > 0
        self._failures = 0
        self._not_before = 0.0
        self._wanted = False
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start looking, if it is on and a thread can be started."""
        if not self._is_on or self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="assay-receipts", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # at the interpreter's end
            return
        self._thread = thread

    def remember(self, batch_id: str | None) -> None:
        """Look after a batch that was taken in; None is none."""
        if batch_id is not None and self._thread is not None and self._is_on:
            self._batch_ids.append(batch_id)
            if len(self._batch_ids) == 1:
                first_look = time.monotonic() + min(_FIRST_PAUSE_SECONDS, self._every_seconds)
                self._not_before = max(self._not_before, first_look)
                self._bell.ring()

    def look_soon(self) -> None:
        """Have it look now, in its own thread. Returns at once."""
        if self._batch_ids:
            self._wanted = True
            self._bell.ring()

    def stop(self, seconds: float) -> None:
        """Look once more, for at most so long, and stop. Returns at once when no batch waits for its receipt, and no
        receipt is being read: what it says is still to be told."""
        self._stopping = True
        self._bell.ring()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(min(seconds, LAST_LOOK_SECONDS))

    def _run(self) -> None:
        while not self._stopping:
            self._bell.wait(self._pause())
            if self._is_due():
                self._look()
        self._look()
        self._api.close()

    def _pause(self) -> float | None:
        """Return the seconds until the next look or log line; None while there is nothing to look for."""
        untold = self._troubles.tell()
        if not self._batch_ids:
            return untold
        due = max(0.0, self._not_before - time.monotonic())
        return due if untold is None else min(due, untold)

    def _is_due(self) -> bool:
        if self._stopping or not self._batch_ids:
            return False
        wanted = self._wanted and not self._failures  # an api that is away is not asked at each flush
        return wanted or time.monotonic() >= self._not_before

    def _look(self) -> None:
        wait = int(LAST_LOOK_SECONDS) if self._stopping or self._wanted else 0
        self._wanted = False
        try:
            while self._batch_ids and self._is_done(self._batch_ids[0], wait):
                self._batch_ids.popleft()
            self._failures = 0
        except (ApiError, Unreachable) as error:
            self._fail(error)
        except Exception:  # noqa: BLE001  an answer that is no receipt, a fault of ours: nothing depends on it
            logger.debug("a receipt could not be read", exc_info=True)
            self._batch_ids.clear()
        pause = min(_LONGEST_PAUSE_SECONDS, self._every_seconds * 2.0**self._failures)
        self._not_before = time.monotonic() + pause

    def _is_done(self, batch_id: str, wait: int) -> bool:
        """Tell what was rejected of a batch. Returns False while it is pending. Raises ApiError and Unreachable."""
        try:
            receipt = self._api.get(f"/v1/batches/{quote(batch_id, safe='')}?wait={wait}", wait_seconds=wait)
        except NotFound:  # too old, or a dead letter
            return True
        if receipt["status"] != "done":
            return False
        for rejection in receipt["rejections"]:
            self._reject(rejection)
        return True

    def _reject(self, rejection: dict[str, Any]) -> None:
        self._tally.reject_later(rejection["code"])
        self._troubles.refuse(rejection["code"], rejection["detail"], {"id": rejection["id"]}, "rejected_later")

    def _fail(self, error: ApiError | Unreachable) -> None:
        self._failures = min(self._failures + 1, 16)
        if isinstance(error, ApiError) and error.status == _FORBIDDEN:
            self._is_on = False
            self._batch_ids.clear()
            logger.info("the key may not read, so what breaks a rule later is not told here: %s", error)
