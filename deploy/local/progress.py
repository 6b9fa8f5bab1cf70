"""How far a delivery is: bars on a terminal, a line every other second elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from deploy.local.delivery import Report
from deploy.local.screen import Screen

_LINE_SECONDS = 2.0


@contextmanager
def delivery_progress(screen: Screen, total: int) -> Iterator[Callable[[Report], None]]:
    """Yield what `deliver` is to call with its report now and then."""
    if screen.console.is_terminal:
        with _bars(screen) as progress:
            sent, settled = (progress.add_task(text, total=total) for text in ("sent", "accounted for"))

            def show(report: Report) -> None:
                progress.update(sent, completed=report.sent)
                progress.update(settled, completed=report.settled)

            yield show
    else:
        yield _Lines(screen, total)


class _Lines:
    def __init__(self, screen: Screen, total: int) -> None:
        self._screen, self._total = screen, total
        self._started = self._said = time.monotonic()

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self._said >= _LINE_SECONDS:
            self._said = now
            rate = report.sent / (now - self._started)
            of = f"of {self._total:,}"
            self._screen.say(f"  sent {report.sent:,} {of} ({rate:,.0f}/s), accounted for {report.settled:,}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


def _bars(screen: Screen) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=screen.console,
    )
