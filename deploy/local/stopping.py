"""Ctrl-C and SIGTERM, as a wish that is looked at between two steps instead of an exception in the middle of one."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

# Called several times a second by whatever waits: it keeps the rest of the run going, and raises StopRequested.
Heartbeat = Callable[[], None]


class StopRequested(Exception):
    """Somebody asked the run to end."""


class Stop:
    """Whether the end was asked for."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def listen(self) -> None:
        """Take Ctrl-C, SIGTERM and the end of the terminal (but for nohup) as the wish to end."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._ask)

    def check(self) -> None:
        """Raise StopRequested when the end was asked for."""
        if self._asked.is_set():
            raise StopRequested

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()
