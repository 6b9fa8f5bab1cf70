"""Processes of an earlier run that are still there: a supervisor that was killed could not stop them."""

import contextlib
import os
import signal
from pathlib import Path

import psutil

from deploy.local.process import wait_until

_STOP_SECONDS = 30


def stop_leftover(pid: int | None, mark: str, stop_signal: signal.Signals) -> bool:
    """Stop the process `pid` when `mark` is in its command line or environment. Returns whether there was one.

    Pids are used again by the system: without the mark we might end a stranger.
    """
    process = _find(pid, mark)
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(stop_signal)
    if not wait_until(lambda: _has_ended(process), _STOP_SECONDS):
        _kill_session(process)
    return True


def pid_in(path: Path) -> int | None:
    """Return the pid on the first line of a pid file; None when there is no file or no number in it."""
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        return int(path.read_text().split()[0])
    return None


def _find(pid: int | None, mark: str) -> psutil.Process | None:
    if pid is None or pid == os.getpid():
        return None
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if not _has_ended(process) and (mark in process.cmdline() or mark in process.environ().values()):
            return process
    return None


def _has_ended(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def _kill_session(process: psutil.Process) -> None:
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: _has_ended(process), _STOP_SECONDS)
