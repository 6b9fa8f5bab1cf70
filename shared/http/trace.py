"""Where a request stands in its sender's trace, looked up once."""

from starlette.types import Scope

from shared.trace_context import TraceContext, trace_context

_STATE_KEY = "assay.trace"


def trace_of(scope: Scope) -> TraceContext | None:
    """Of our own span if there is one, else as the sender named it; None if it did not, or not validly."""
    if _STATE_KEY not in scope:
        set_trace(scope, _given(scope))
    found: TraceContext | None = scope[_STATE_KEY]
    return found


def set_trace(scope: Scope, trace: TraceContext | None) -> None:
    scope[_STATE_KEY] = trace


def _given(scope: Scope) -> TraceContext | None:
    parents = [value for name, value in scope["headers"] if name == b"traceparent"]
    if len(parents) != 1:
        return None
    states = [value for name, value in scope["headers"] if name == b"tracestate"]
    return trace_context(str(parents[0], "latin-1"), str(b",".join(states), "latin-1"))
