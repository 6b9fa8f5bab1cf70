"""The outermost layer of an HTTP service where tracing is on: a server span for each call of its interface.

Health, metrics and pages have none. A span holds the route's template, never the path or the query.
"""

from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.request_id import request_id_of, route_of
from shared.http.trace import set_trace, trace_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from shared.spans import Tracer

_PATHS = "/v1/"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def traced(tracer: "Tracer | None") -> list[Middleware]:
    """No layer at all where tracing is off."""
    return [] if tracer is None else [Middleware(Traced, tracer=tracer)]


class Traced:
    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PATHS):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        with self._tracer.span("HTTP", "server", {"http.request.method": method}, parent=trace_of(scope)) as span:
            set_trace(scope, self._tracer.place_of(span))

            async def send_seen(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._tell(span, scope, message["status"])
                await send(message)

            await self._app(scope, receive, send_seen)

    def _tell(self, span: "Span", scope: Scope, status: int) -> None:
        route, facts = route_of(scope), scope.get("assay.facts", {})
        if route is not None:
            span.update_name(f"{scope['method']} {route}")
            span.set_attribute("http.route", route)
        span.set_attributes({"http.response.status_code": status, "assay.request_id": request_id_of(scope)})
        span.set_attributes(_attributes_of(facts))
        if status >= 500:
            self._tracer.fail(span, str(status))


def _attributes_of(facts: dict[str, Any]) -> dict[str, Any]:
    return {f"assay.{name}": value for name, value in facts.items() if value is not None}
