"""Keep processes running: start again what dies, a little later each time, and say so. Stop them in a given order."""

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deploy.local.process import Process

_BACKOFF_SECONDS_MIN = 0.2
_BACKOFF_SECONDS_MAX = 5.0
_STEADY_SECONDS = 10.0  # one that ran as long as this starts again as quickly as the first time
_LOG_LINE_CHARACTERS = 300


@dataclass
class _Supervised:
    process: Process
    launched_at: float
    deaths: int = 0
    launch_at: float | None = None


class Supervisor:
    """The processes of one run. `say` gets sentences for people, `on_change` is called whenever a pid has changed.

    It does nothing by itself: call `tick` a few times a second, from the main thread (see `Process`).
    """

    def __init__(self, say: Callable[[str], None], on_change: Callable[[], None]) -> None:
        self._say = say
        self._on_change = on_change
        self._supervised: dict[str, _Supervised] = {}

    def launch(self, process: Process) -> None:
        process.launch()
        self.adopt(process)

    def adopt(self, process: Process) -> None:
        """Supervise a process that was launched already."""
        self._supervised[process.name] = _Supervised(process, launched_at=time.monotonic())
        self._on_change()

    def pids(self) -> dict[str, int | None]:
        return {name: supervised.process.pid for name, supervised in self._supervised.items()}

    def deaths(self, name: str) -> int:
        """Return how often it died in a row, without running steadily in between."""
        return self._supervised[name].deaths

    def process(self, name: str) -> Process:
        return self._supervised[name].process

    def tick(self) -> None:
        """Look at every process once; notice the dead, launch those whose pause is over."""
        now = time.monotonic()
        for supervised in self._supervised.values():
            if supervised.launch_at is None:
                self._notice_death(supervised, now)
            elif now >= supervised.launch_at:
                self._launch_again(supervised, now)

    def stop(self, names: Iterable[str], timeout_seconds: float = 30) -> None:
        """Ask these to stop, all at once, and end those that haven't after the time."""
        leaving = [self._supervised.pop(name).process for name in names if name in self._supervised]
        for process in leaving:
            process.ask_to_stop()
        deadline = time.monotonic() + timeout_seconds
        for process in leaving:
            if not process.wait(max(0.0, deadline - time.monotonic())):
                self._say(f"{process.name} (pid {process.pid}) did not stop in {timeout_seconds:g} s: killed")
            process.kill()

    def _notice_death(self, supervised: _Supervised, now: float) -> None:
        code = supervised.process.exit_code()
        if code is None:
            return
        supervised.process.kill()
        supervised.deaths = supervised.deaths + 1 if now - supervised.launched_at < _STEADY_SECONDS else 1
        pause = min(_BACKOFF_SECONDS_MAX, _BACKOFF_SECONDS_MIN * 2 ** (supervised.deaths - 1))
        supervised.launch_at = now + pause
        self._say(_obituary(supervised.process, code, pause))

    def _launch_again(self, supervised: _Supervised, now: float) -> None:
        pid = supervised.process.launch()
        supervised.launch_at, supervised.launched_at = None, now
        self._say(f"{supervised.process.name} was started again (pid {pid})")
        self._on_change()


def _obituary(process: Process, code: int, pause_seconds: float) -> str:
    last_words = process.last_log_line()[:_LOG_LINE_CHARACTERS]
    said = f"; the last line of its log: {last_words}" if last_words else ""
    return f"{process.name} (pid {process.pid}) ended {_how(code)}; starting it again in {pause_seconds:g} s{said}"


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
