"""A child process that can be started again: its command, its log, and a promise that it does not outlive us."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_PR_SET_PDEATHSIG = 1
_LOG_TAIL_BYTES = 4096

# Looked up before any fork: between fork and exec a child must not load libraries.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """What to run. `stop_signal` asks it to end; on Linux it gets the same signal when we die without having asked."""

    name: str
    command: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class Process:
    """A running `Program`. It leads a session of its own, so that Ctrl-C in the terminal reaches only us.

    Launch it from the main thread: Linux sends the parent's-death signal when the launching *thread* ends.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def launch(self) -> int:
        """Start it (again) without waiting for it to be of use. Returns its pid."""
        with open_log(self.program.log) as log:
            self._child = subprocess.Popen(
                self.program.command,
                env=self.program.env,
                cwd=self.program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent(self.program.stop_signal),
            )
        return self._child.pid

    def exit_code(self) -> int | None:
        """Return None while it runs; else its exit code, negative for the signal that ended it."""
        return self._child.poll() if self._child else None

    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def ask_to_stop(self) -> None:
        if self._child is not None:
            self._child.send_signal(self.program.stop_signal)

    def wait(self, timeout_seconds: float) -> bool:
        """Return whether it has ended within the time."""
        if self._child is None:
            return True
        try:
            self._child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it and whatever it started, at once; also what a dead one left behind."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def stop(self, timeout_seconds: float = 30) -> bool:
        """Ask it to stop and wait; kill it when it doesn't. Returns whether it stopped by itself."""
        self.ask_to_stop()
        stopped = self.wait(timeout_seconds)
        self.kill()
        return stopped

    def last_log_line(self) -> str:
        return last_line(self.program.log)


def open_log(path: Path) -> BinaryIO:
    """Logs can name what a project measures, so they are readable by their owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def wait_until(condition: Callable[[], bool], timeout_seconds: float, *, poll_seconds: float = 0.02) -> bool:
    """Return True as soon as `condition` holds, False when it still doesn't after the time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_seconds)
    return True


def last_line(path: Path) -> str:
    """Return the last line of a log that isn't blank, or an empty string."""
    return next((line for line in reversed(tail(path)) if line.strip()), "")


def tail(path: Path) -> list[str]:
    """Return the lines in the last few kilobytes of a log; none when there is no such file."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # the parent died before the kernel knew of our wish
            os._exit(1)

    return ask_kernel
