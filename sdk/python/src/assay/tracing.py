"""Traces and spans: context managers and decorators that say what is being scored.

They are not sent yet, but hold what sending them will need: ids as OpenTelemetry's, the parent, start, end and error.
"""

from __future__ import annotations

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar, Union, cast, overload

from assay import context
from assay.context import Place
from assay.ids import new_span_id, new_trace_id

if TYPE_CHECKING:
    from typing import Protocol

    class Score(Protocol):
        """`Client.score`, or the module's."""

        def __call__(self, name: str | None = None, value: Any = None, **fields: Any) -> str: ...


F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T", bound="Step")


class Step(ABC):
    """What traces and spans have in common. Times are nanoseconds since 1970; `error` is an exception's class name."""

    def __init__(self, score: Score, id: str, name: str | None, metadata: Mapping[str, Any] | None) -> None:
        self._score = score
        self.id = id
        self.name = name
        self.metadata = dict(metadata or {})
        self.started_ns = time.time_ns()
        self.ended_ns: int | None = None
        self.error: str | None = None

    def add_score(self, name: str | None = None, value: Any = None, **fields: Any) -> str:
        """Score this. Takes the fields of `score()` but the target, also after the end of the block. Returns the id."""
        return self._score(name, value, **self._target(), **fields)

    def end(self, error: type[BaseException] | None = None) -> None:
        self.ended_ns = time.time_ns()
        self.error = error.__name__ if error is not None else None

    @abstractmethod
    def _target(self) -> dict[str, str]:
        """Name what is scored, in fields of `score()`."""


class Trace(Step):
    """One run of an application. `root_span_id` is the id its outermost step has."""

    def __init__(
        self,
        score: Score,
        id: str,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
    ) -> None:
        super().__init__(score, id, name, metadata)
        self.session_id = session_id
        self.user_id = user_id
        self.root_span_id = new_span_id()

    def _target(self) -> dict[str, str]:
        return {"trace_id": self.id}


class Span(Step):
    """One step of a trace."""

    def __init__(
        self,
        score: Score,
        id: str,
        trace_id: str,
        parent_id: str | None = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(score, id, name, metadata)
        self.trace_id = trace_id
        self.parent_id = parent_id

    def _target(self) -> dict[str, str]:
        return {"trace_id": self.trace_id, "span_id": self.id}


class Scope(Generic[T]):
    """Opens a step for a block (`with`, `async with`) or for each call of a function, coroutine or generator."""

    def __init__(self, open_step: Callable[[str | None], tuple[T, Place]], name: str | None) -> None:
        self._open_step = open_step
        self._name = name
        self._opened: list[tuple[T, Any]] = []

    def __enter__(self) -> T:
        step, place = self._open_step(self._name)
        self._opened.append((step, context.enter(place)))
        return step

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        step, token = self._opened.pop()
        context.leave(token)
        step.end(kind)

    async def __aenter__(self) -> T:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Return the function so that each call of it is a step of its own, named like it unless named."""
        from assay.decorating import wrapped  # few need it, and it costs time to import

        opening = functools.partial(self._open_step, self._name or function.__qualname__)
        return cast(F, functools.wraps(function)(wrapped(function, opening)))


class Scoring:
    """Traces, spans and thumbs on top of `score`."""

    score: Any

    @overload
    def trace(self, name: F) -> F: ...

    @overload
    def trace(
        self,
        name: str | None = None,
        *,
        id: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Scope[Trace]: ...

    def trace(
        self,
        name: Union[F, str | None] = None,
        *,
        id: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Union[F, Scope[Trace]]:
        """Open a trace: `with client.trace("answer") as trace:`, `@client.trace` or `@client.trace("answer")`.

        `score()` inside is about this trace. `id` continues a trace that has one already; without it the trace of the
        active OpenTelemetry span is taken, and else a new id is made.
        """
        if callable(name):
            return self.trace()(name)
        return Scope(functools.partial(self._open_trace, id, session_id, user_id, metadata), name)

    @overload
    def span(self, name: F) -> F: ...

    @overload
    def span(
        self, name: str | None = None, *, id: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Scope[Span]: ...

    def span(
        self,
        name: Union[F, str | None] = None,
        *,
        id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Union[F, Scope[Span]]:
        """Open a span of the current trace; outside of any, of a new one. Score it with `span.add_score(…)`."""
        if callable(name):
            return self.span()(name)
        return Scope(functools.partial(self._open_span, id, metadata), name)

    def current_trace(self) -> Trace | None:
        """Return the trace we are in, or that of the active OpenTelemetry span; None outside of any."""
        place = context.current_place()
        if place is None:
            return None
        return place.trace if isinstance(place.trace, Trace) else Trace(self.score, place.trace_id)

    def current_span(self) -> Span | None:
        """Return the innermost span, be it ours or OpenTelemetry's; None outside of any."""
        place = context.current_place()
        if place is None or place.span_id is None:
            return None
        return place.span if isinstance(place.span, Span) else Span(self.score, place.span_id, place.trace_id)

    def thumbs(self, up: bool, name: str = "thumbs", *, source: str = "HUMAN", **fields: Any) -> str:
        """Take over a person's thumbs up (True) or down. Takes the fields of `score()`; returns the id."""
        return cast(str, self.score(name, bool(up), source=source, **fields))

    def _open_trace(
        self,
        id: str | None,
        session_id: str | None,
        user_id: str | None,
        metadata: Mapping[str, Any] | None,
        name: str | None,
    ) -> tuple[Trace, Place]:
        otel = context.current_place() if context.otel_span_id() else None
        trace_id = id or (otel.trace_id if otel is not None else new_trace_id())
        trace = Trace(self.score, trace_id, name, metadata, session_id, user_id)
        return trace, Place(trace_id, None, trace, None, context.otel_span_id())

    def _open_span(self, id: str | None, metadata: Mapping[str, Any] | None, name: str | None) -> tuple[Span, Place]:
        outer = context.current_place()
        trace = outer.trace if outer is not None else Trace(self.score, new_trace_id())
        trace_id = outer.trace_id if outer is not None else trace.id
        parent_id = (outer.span_id if outer is not None else None) or (trace.root_span_id if trace else None)
        span = Span(self.score, id or new_span_id(), trace_id, parent_id, name, metadata)
        return span, Place(trace_id, span.id, trace, span, context.otel_span_id())
