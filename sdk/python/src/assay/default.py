"""The one client of the program that the functions of the package act on."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from assay.client import Client
from assay.settings import make_settings
from assay.trouble import OnError, logger

_lock = threading.RLock()
_client: Client | None = None


def _renew_lock() -> None:
    """Have a lock of its own in the child of a fork: the parent's may have been held by a thread that is not there."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def init(*, on_error: OnError | None = None, **settings: Any) -> Client:
    """Make the client of the program, and return it. Takes the settings of `assay.settings.Settings`.

    Called again with the same settings it changes nothing, so a notebook's cell can be run twice; with others, the
    client before is shut down first. Raises ConfigurationError.
    """
    global _client
    with _lock:
        before = _client
        if before is not None and before.is_open() and before.settings == make_settings(settings):
            before.on_error(on_error)
            return before
        _client = Client(on_error=on_error, **settings)
    if before is not None:
        before.shutdown()
    return _client


def client() -> Client:
    """Return the client of the program; made of the environment alone if `init` was not called."""
    return _client or _from_environment()


if TYPE_CHECKING:
    score = Client().score
else:

    def score(*args: Any, **fields: Any) -> str:
        return (_client or _from_environment()).score(*args, **fields)

    score.__doc__ = Client.score.__doc__
    score.__wrapped__ = Client(enabled=False).score  # whose signature `help` shows


def flush(timeout: float | None = None) -> bool:
    """Send what was scored so far. See `Client.flush`."""
    return True if _client is None else _client.flush(timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Flush and stop for good. See `Client.shutdown`. `init` starts anew."""
    return True if _client is None else _client.shutdown(timeout)


def _from_environment() -> Client:
    """Return a client of the environment; one that sends nothing if the environment is unusable."""
    global _client
    with _lock:
        if _client is None:
            try:
                _client = Client()
            except Exception as error:  # noqa: BLE001  the application must go on
                logger.warning("nothing is sent: %s", error)
                _client = Client(enabled=False, api_key="", ingest_url="http://disabled", api_url="http://disabled")
        return _client
