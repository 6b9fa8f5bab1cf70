"""What a person sees: steps with a sign of life on a terminal, plain lines in a file or a pipe. Decides nothing."""

import io
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.local.errors import CannotStart

_PAGE_WIDTH = 120  # of a file or a pipe, which has none of its own


class Screen:
    """The terminal. Text is printed as it is: no mark-up, and no line is broken, so that it can be copied."""

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):  # a terminal that knows no "…" is no reason to die
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        self.console = Console(highlight=False, markup=False, emoji=False)
        self._errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def say(self, text: str = "", style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)

    def event(self, text: str) -> None:
        """Say that something happened, and when."""
        self.say(f"{time.strftime('%H:%M:%S')}  {text}", style="yellow")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show that something is being done, and how long it took."""
        started = time.monotonic()
        with self._sign_of_life(text):
            yield
        self.say(f"  {text}: {time.monotonic() - started:.1f} s", style="dim")

    def failure(self, error: CannotStart) -> None:
        self._errors.print(Text(error.problem, style="bold red"), soft_wrap=True)
        self._errors.print(Text(error.remedy), soft_wrap=True)

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """Show a small table; all columns but the first are numbers."""
        table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self.console.print(table, width=None if self.console.is_terminal else _PAGE_WIDTH, crop=False)

    def _sign_of_life(self, text: str) -> AbstractContextManager[object]:
        return self.console.status(Text(f"{text} …")) if self.console.is_terminal else nullcontext()
