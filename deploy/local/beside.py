"""Do something long in a thread while the main thread goes on watching the processes."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from deploy.local.stopping import Heartbeat

_TICK_SECONDS = 0.1

_T = TypeVar("_T")


def beside(work: Callable[[], _T], heartbeat: Heartbeat) -> _T:
    """Return what the work returns, or raise what it raises. When the heartbeat raises, the work is left behind."""
    outcome: Future[_T] = Future()

    def attempt() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:  # noqa: BLE001  it goes on in the main thread
            outcome.set_exception(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    while thread.is_alive():
        heartbeat()
        thread.join(_TICK_SECONDS)
    return outcome.result()
