"""Clients at the ends of a process: after a fork, and when the interpreter or a forked worker stops."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Protocol


class Living(Protocol):
    """What this module needs to know of a client."""

    def after_fork(self) -> None: ...
    def shutdown(self) -> bool: ...


_FIRST_PID = os.getpid()
_living: set[Living] = set()


def remember(client: Living) -> None:
    """Have the client shut down at the end of the interpreter, and started afresh in the children of forks."""
    _living.add(client)


def forget(client: Living) -> None:
    _living.discard(client)


def end_with_process(client: Living) -> None:
    """Have the client shut down at the end of a worker that `multiprocessing` or celery's `billiard` has forked.

    Those leave by `os._exit`, without what is registered with `atexit`; but they run their own finalizers.
    """
    for name in ("multiprocessing.util", "billiard.util"):
        module = sys.modules.get(name)
        if module is not None and _is_worker():
            module.Finalize(client, client.shutdown, exitpriority=100)


def _is_worker() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return os.getpid() != _FIRST_PID or (process is not None and process.parent_process() is not None)


def _end_all() -> None:
    for client in list(_living):
        client.shutdown()


def _after_fork() -> None:
    for client in list(_living):
        client.after_fork()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
