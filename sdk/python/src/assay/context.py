"""Where the running code is: in which trace, and in which span of it. Follows tasks by itself, threads when carried.

Ids are OpenTelemetry's: 32 and 16 hex digits. Where an OpenTelemetry span was started inside ours, or there is none of
ours, it is the place.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from typing import Any, Callable, NamedTuple, TypeVar

R = TypeVar("R")


class Place(NamedTuple):
    """A trace, and the innermost open span of it. `span_id` is None while only the trace is open."""

    trace_id: str
    span_id: str | None = None
    trace: Any = None
    span: Any = None
    inside_otel_span_id: str | None = None


_place: contextvars.ContextVar[Place | None] = contextvars.ContextVar("assay_place", default=None)


def current_place() -> Place | None:
    """Return where we are, an active OpenTelemetry span included; None outside of any trace."""
    ours = _place.get()
    theirs = _otel_place()
    if theirs is None or (ours is not None and ours.inside_otel_span_id == theirs.span_id):
        return ours
    return theirs


def current_trace_id() -> str | None:
    """Return the id of the trace we are in, None outside of any.

    >>> current_trace_id() is None
    True
    """
    place = current_place()
    return None if place is None else place.trace_id


@contextmanager
def at(place: Place) -> Iterator[None]:
    """Be at a place for the length of a block."""
    token = _place.set(place)
    try:
        yield
    finally:
        _leave(token)


def enter(place: Place | None) -> contextvars.Token[Place | None]:
    return _place.set(place)


def leave(token: contextvars.Token[Place | None]) -> None:
    _leave(token)


def our_place() -> Place | None:
    """Return where we are as far as this package knows of itself."""
    return _place.get()


def otel_span_id() -> str | None:
    """Return the id of the active OpenTelemetry span."""
    place = _otel_place()
    return None if place is None else place.span_id


def carry(function: Callable[..., R]) -> Callable[..., R]:
    """Return the function so that it runs, in any thread, where it was carried from.

    >>> threading.Thread(target=carry(work)).start()  # doctest: +SKIP
    """
    context = contextvars.copy_context()

    @wraps(function)
    def carried(*args: Any, **kwargs: Any) -> R:
        return context.copy().run(function, *args, **kwargs)

    return carried


class CarryingExecutor(ThreadPoolExecutor):
    """A `ThreadPoolExecutor` whose calls run in the trace and span in which they were submitted."""

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        return super().submit(carry(fn), *args, **kwargs)


def _otel_place() -> Place | None:
    """Return the active OpenTelemetry span. Whoever has one has imported the package: we never do."""
    otel = sys.modules.get("opentelemetry.trace")
    if otel is None:
        return None
    try:
        span = otel.get_current_span().get_span_context()
        return Place(f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None
    except Exception:  # noqa: BLE001  half imported, or broken: not ours to fail by
        return None


def _leave(token: contextvars.Token[Place | None]) -> None:
    try:
        _place.reset(token)
    except ValueError:  # closed in another context than opened, as an abandoned generator may be
        _place.set(token.old_value if token.old_value is not contextvars.Token.MISSING else None)
