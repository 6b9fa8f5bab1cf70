"""Send and read the scores of an LLM application.

    import assay

    assay.init(api_key="assay_…")                      # or set ASSAY_API_KEY, and leave it out
    with assay.trace("answer"):
        reply = answer(question)
        assay.score("relevance", 0.92)                  # about the trace

`score()` costs microseconds, does no I/O and never raises; scores are sent in the background. The functions here act on
one client for the program, made by `init` or of the environment at the first use; `Client` is for those who want none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assay.client import Client
from assay.context import CarryingExecutor, carry, current_trace_id
from assay.counters import Counters
from assay.default import client, flush, init, score, shutdown
from assay.errors import (
    ApiError,
    AssayError,
    ConfigurationError,
    InvalidScore,
    NotAllowed,
    NotFound,
    Unreachable,
)
from assay.ids import new_score_id, new_span_id, new_trace_id
from assay.settings import Settings
from assay.tracing import Scope, Scoring, Span, Trace
from assay.trouble import Trouble
from assay.version import __version__

if TYPE_CHECKING:
    from assay.aio import AsyncClient

_scoring = Scoring()
_scoring.score = score
trace = _scoring.trace
span = _scoring.span
thumbs = _scoring.thumbs
current_trace = _scoring.current_trace
current_span = _scoring.current_span

__all__ = [
    "ApiError",
    "AssayError",
    "AsyncClient",
    "CarryingExecutor",
    "Client",
    "ConfigurationError",
    "Counters",
    "InvalidScore",
    "NotAllowed",
    "NotFound",
    "Scope",
    "Settings",
    "Span",
    "Trace",
    "Trouble",
    "Unreachable",
    "__version__",
    "carry",
    "client",
    "current_span",
    "current_trace",
    "current_trace_id",
    "flush",
    "init",
    "new_score_id",
    "new_span_id",
    "new_trace_id",
    "score",
    "shutdown",
    "span",
    "thumbs",
    "trace",
]


def __getattr__(name: str) -> Any:
    """Import the asyncio client when it is first asked for: others need not pay for asyncio."""
    if name == "AsyncClient":
        from assay.aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module 'assay' has no attribute {name!r}")
