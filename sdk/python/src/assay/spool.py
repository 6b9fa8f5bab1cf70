"""Scores kept on disk until they are settled, so that a crash of the application loses none that had been written.

A thread of its own moves scores from the buffer into files as soon as they come, and hands each full or old enough file
to the sender as a batch; a settled file is removed. Files of a process that is gone are sent by the next client that
opens the folder. Nothing is synced to the disk: a crash of the application is survived, not one of the machine. What
lies in the folder is in `assay.spool_files`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path

from assay.batch import Batch
from assay.bell import Bell
from assay.buffer import Buffer
from assay.counters import Tally
from assay.settings import Settings
from assay.spool_files import Folder, OpenFile, check_system, lines_of, root_of
from assay.trouble import logger

_FULL_PAUSE_SECONDS = 0.1
_BEFORE_ALL = -1  # the place of recovered scores


class Spool:
    """A source of batches for the sender, behind the buffer. While the folder is full, the buffer fills."""

    def __init__(self, buffer: Buffer, settings: Settings, tally: Tally) -> None:
        check_system()
        self._buffer = buffer
        self._settings = settings
        self._tally = tally
        self._root = root_of(str(settings.spool_dir), settings.api_key or "")
        self._bell = Bell()
        self._lock = threading.Lock()
        self._batches: deque[Batch] = deque()
        self._taking_from: int | None = None
        self._open: OpenFile | None = None
        self._held_bytes = 0
        self._urgent = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._folder: Folder | None = None
        self._complain_from = 0.0

    def start(self) -> None:
        """Start writing. Raises RuntimeError when no thread can be started."""
        self._thread = threading.Thread(target=self._run, name="assay-spool", daemon=True)
        self._thread.start()

    def next(self, urgent: bool) -> Batch | None:
        if urgent != self._urgent:
            self._urgent = urgent
            self._buffer.bell.ring()
        return self._batches.popleft() if self._batches else None

    def due_seconds(self, urgent: bool) -> float | None:
        return 0.0 if self._batches or urgent != self._urgent else None

    def first_waiting(self) -> int:
        """Return the place of the first score that is in no batch of the sender's.

        Looks along the way that scores go, so that one that moves on meanwhile is seen at its next place.
        """
        places = [self._buffer.taken]
        if (taking_from := self._taking_from) is not None:
            places.append(taking_from)
        if (file := self._open) is not None:
            places.append(file.place)
        return min(places + [batch.place for batch in self._batches.copy()])

    def waiting_count(self) -> int:
        return self._buffer.waiting()[0] + sum(batch.count for batch in self._batches.copy())

    def wait(self, seconds: float | None) -> None:
        self._bell.wait(seconds)

    def wake(self) -> None:
        self._bell.ring()
        self._buffer.bell.ring()

    def stop(self) -> None:
        """Write what is in the buffer, and let go of the folder. What is in it stays for the next client."""
        self._stopping = True
        self._buffer.bell.ring()
        if self._thread is not None:
            self._thread.join(self._settings.shutdown_seconds)
        if self._folder is not None:
            self._folder.close()

    def abandon(self) -> None:
        """Let go of the parent's files in the child of a fork."""
        if self._folder is not None:
            self._folder.abandon()

    def _run(self) -> None:
        self._open_folder()
        while True:
            stopping = self._stopping
            self._write()
            self._seal()
            if stopping:
                return
            self._buffer.bell.wait(self._pause())

    def _open_folder(self) -> None:
        try:
            self._folder = Folder(self._root)
            left_behind = self._folder.left_behind()
        except OSError as error:
            self._complain("opened", error)
            return
        for path in left_behind:
            self._recover(path)

    def _pause(self) -> float | None:
        if self._is_full():
            return _FULL_PAUSE_SECONDS
        return None if self._open is None else max(0.0, self._old_at(self._open) - time.monotonic())

    def _is_full(self) -> bool:
        return self._held_bytes >= self._settings.spool_bytes

    def _old_at(self, file: OpenFile) -> float:
        return file.since + self._settings.batch_age_seconds

    def _write(self) -> None:
        """Write what is in the buffer, as long as there is room on the disk."""
        while not self._is_full():
            self._taking_from = self._buffer.taken
            room = self._settings.batch_size - (self._open.count if self._open else 0)
            place, items = self._buffer.take(room, self._settings.batch_bytes)
            if items:
                self._append(place, items, sum(map(len, items)))
                self._seal()
            self._taking_from = None
            if not items:
                return

    def _append(self, place: int, items: list[bytes], size: int) -> None:
        try:
            if self._folder is None:
                raise FileNotFoundError(self._root)
            file = self._open or OpenFile(self._folder.new_path(), place)
            self._open = file
            file.write(items)
        except OSError as error:
            self._complain("written", error)
            self._hand_over(Batch(place, len(items), lambda: items, lambda: self._buffer.release(len(items), size)))
            return
        self._hold(size)
        self._buffer.release(len(items), size)

    def _complain(self, what: str, error: OSError) -> None:
        if time.monotonic() >= self._complain_from:
            self._complain_from = time.monotonic() + self._settings.log_seconds
            logger.warning("the spool can't be %s, scores wait in memory: %s", what, error)

    def _seal(self) -> None:
        """Hand the open file to the sender if it is full, old or wanted."""
        file, settings = self._open, self._settings
        if file is None:
            return
        full = file.count >= settings.batch_size or file.size >= settings.batch_bytes
        if full or self._urgent or self._stopping or time.monotonic() >= self._old_at(file):
            file.close()
            if file.count:
                self._hand_over(self._batch(file.path, file.place, file.count, file.size))
            self._open = None

    def _batch(self, path: Path, place: int, count: int, size: int) -> Batch:
        def done() -> None:
            self._hold(-size)
            path.unlink(missing_ok=True)

        return Batch(place, count, lambda: lines_of(path), done)

    def _hold(self, size: int) -> None:
        with self._lock:
            self._held_bytes += size

    def _hand_over(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._bell.ring()

    def _recover(self, path: Path) -> None:
        items = lines_of(path)
        if not items:
            path.unlink(missing_ok=True)
            return
        size = sum(map(len, items))
        self._hold(size)
        self._tally.add("recovered", len(items))
        self._hand_over(self._batch(path, _BEFORE_ALL, len(items), size))
