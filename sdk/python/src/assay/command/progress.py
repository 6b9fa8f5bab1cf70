"""How far a load is: one line on a terminal that is written anew, a line every few seconds elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.command.screen import Screen

_TERMINAL_SECONDS = 0.1
_LINES_SECONDS = 5.0
_BAR = 24


class Progress:
    """Rows that are settled, their rate, and the time that is left by the part of the file that is read."""

    def __init__(self, screen: Screen, name: str) -> None:
        self._screen = screen
        self._name = name
        self._started = self._shown = time.monotonic()
        self._first_fraction: float | None = None
        self._first_rows = 0

    def show(self, rows: int, fraction: float) -> None:
        """Show it, unless it was shown just now. `fraction` is 0 to 1."""
        now = time.monotonic()
        if self._first_fraction is None:
            self._first_fraction, self._first_rows = fraction, rows
        pause = _TERMINAL_SECONDS if self._screen.is_terminal else _LINES_SECONDS
        if self._screen.quiet or now - self._shown < pause:
            return
        self._shown = now
        line = self._line(rows, fraction, now - self._started)
        if self._screen.is_terminal:
            sys.stderr.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
            sys.stderr.flush()
        else:
            self._screen.note(line)

    def end(self) -> None:
        """Clear the line."""
        if self._screen.is_terminal and not self._screen.quiet:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _line(self, rows: int, fraction: float, seconds: float) -> str:
        rate = (rows - self._first_rows) / seconds if seconds else 0.0
        done = fraction - (self._first_fraction or 0.0)
        left = f"{duration(seconds / done * (1 - fraction))} left" if done > 0 else ""
        filled = int(fraction * _BAR)
        bar = "█" * filled + "░" * (_BAR - filled)
        return f"{self._name}  {bar} {fraction:4.0%}  {rows:,} rows  {rate:,.0f}/s  {left}"


def duration(seconds: float) -> str:
    """Return seconds for people.

    >>> duration(3.21), duration(75), duration(7300)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    whole = int(seconds)
    if whole < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
