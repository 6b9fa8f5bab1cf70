"""The outer layer of both HTTP services: a request id, headers for browsers, the canonical log line and the metrics of
each request.

Pure ASGI, because Starlette's BaseHTTPMiddleware breaks context variables. A client's `X-Request-Id` is taken over when
it is short and plain, so that a request can be followed from the sender's log into ours; so is the trace it is part of.
"""

import re
import time
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.security_headers import ON_DATA, Headers
from shared.http.trace import trace_of
from shared.ids import uuid7
from shared.metrics import HttpMetrics

log = structlog.get_logger()

FailureResponse = Callable[[Request, Exception], Response]

_PLAIN = re.compile(rb"[A-Za-z0-9._-]{1,100}")
_STATE_KEY = "assay.request_id"
_MORE_KEY = "assay.more_headers"
PROBES = ("/healthz", "/readyz", "/metrics")
"""Asked by machines each second: that all is well is told only where every detail is wanted."""
HEADERS_KEY = "assay.headers"
"""Where a route puts other headers for browsers than those of data."""


def add_header(scope: Scope, name: str, value: str) -> None:
    """On the answer to this request, whichever it will be."""
    scope.setdefault(_MORE_KEY, []).append((name.lower().encode(), value.encode()))


def route_of(scope: Scope) -> str | None:
    """The route's template; what matched none has none, so that a scanner can't fill the metrics."""
    template: str | None = scope.get("assay.route")
    return template


def request_id_of(scope: Scope) -> str:
    request_id: str = scope[_STATE_KEY]
    return request_id


class RequestIds:
    def __init__(self, app: ASGIApp, metrics: HttpMetrics, failure_response: FailureResponse) -> None:
        self._app = app
        self._metrics = metrics
        self._failure_response = failure_response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[_STATE_KEY] = _given(scope) or uuid7()
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                for_browsers: Headers = scope.get(HEADERS_KEY, ON_DATA)
                own = (b"x-request-id", request_id.encode())
                message["headers"] = [*message["headers"], own, *for_browsers, *scope.get(_MORE_KEY, ())]
            await send(message)

        with structlog.contextvars.bound_contextvars(**_names_of(scope)):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:  # noqa: BLE001 - the outermost layer answers whatever nobody expected
                await self._failure_response(Request(scope), error)(scope, receive, send_with_id)
            finally:
                self._tell(scope, status, time.perf_counter() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope) or "unmatched"
        self._metrics.answered(scope["method"], route, status, seconds)
        facts = {"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000, 2)}
        facts |= scope.get("assay.facts", {})
        if route in PROBES and status < 400:
            log.debug("request_answered", **facts)
        else:
            log.info("request_answered", **facts)


def _names_of(scope: Scope) -> dict[str, str]:
    """What every event of this request says about it."""
    trace = trace_of(scope)
    names = {"request_id": request_id_of(scope)}
    return names if trace is None else {**names, "trace_id": trace.trace_id}


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _PLAIN.fullmatch(value):
            return str(value, "ascii")
    return None
