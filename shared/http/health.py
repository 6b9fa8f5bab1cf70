"""`/healthz` (the process is alive), `/readyz` (it can do its job, and which part can't) and `/metrics`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from shared.http.responses import json_response
from shared.metrics import Register

CHECK_SECONDS_MAX = 0.8

Check = Callable[[], Awaitable[str | None]]
"""Answers None when its part is well, else what is wrong, in a few words."""


class Readiness(Struct):
    ready: bool
    version: str
    parts: dict[str, str]


def health_routes(
    version: str, needed: Mapping[str, Check], register: Register, *, told: Mapping[str, Check] | None = None
) -> list[Route]:
    """`needed` parts decide whether the process is ready; `told` ones are only told. Once the process stops it is not
    ready any more, while it still answers. `/readyz?exclude=<part>` does not ask that part: for a proxy, which is to
    turn away from a process that stops, but not from one that says better than the proxy what is wrong."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        excluded = request.query_params.getlist("exclude")
        troubles = {part: await _in_time(check) for part, check in needed.items() if part not in excluded}
        if getattr(request.app.state, "is_stopping", False):
            troubles["process"] = "stopping"
        ready = not any(troubles.values())
        troubles |= {part: await _in_time(check) for part, check in (told or {}).items() if part not in excluded}
        readiness = Readiness(ready, version, {part: trouble or "ok" for part, trouble in troubles.items()})
        return json_response(readiness, 200 if ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(register.exposition(), media_type=register.content_type)

    return [
        Route("/healthz", _named("/healthz", healthz)),
        Route("/readyz", _named("/readyz", readyz)),
        Route("/metrics", _named("/metrics", metrics)),
    ]


async def _in_time(check: Check) -> str | None:
    """A probe waits a second or so: a part that takes longer to answer is not well."""
    try:
        return await asyncio.wait_for(check(), CHECK_SECONDS_MAX)
    except TimeoutError:
        return "no answer in time"


def _named(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        request.scope["assay.route"] = path
        return await endpoint(request)

    return handle
