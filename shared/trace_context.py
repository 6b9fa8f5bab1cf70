"""W3C trace context: the place in a trace that the headers `traceparent` and `tracestate` name.

What is not valid is as if it had not been sent (https://www.w3.org/TR/trace-context/); it never fails a request.
"""

import re
from typing import NamedTuple

TRACESTATE_LENGTH_MAX = 512

_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<ids>(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<rest>-.*)?"
)
_TRACESTATE = re.compile(r"[ -~\t]+")


class TraceContext(NamedTuple):
    """`traceparent` is valid and of version 00. `tracestate` belongs to other vendors and is handed on as it came."""

    traceparent: str
    tracestate: str | None = None

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]


def trace_context(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """None for a `traceparent` that is missing or not valid. A `tracestate` that can't be one is left out."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None or (found["version"] == "00" and found["rest"]):
        return None
    return TraceContext(_as_version_00(found), tracestate if tracestate and _is_state(tracestate) else None)


def _as_version_00(found: re.Match[str]) -> str:
    if found["version"] == "00":
        return found[0]
    return f"00-{found['ids']}-{int(found['flags'], 16) & 1:02x}"  # of a later version only `sampled` is understood


def _is_state(tracestate: str) -> bool:
    return len(tracestate) <= TRACESTATE_LENGTH_MAX and _TRACESTATE.fullmatch(tracestate) is not None
