"""`/healthz` (the process is alive), `/readyz` (it can do its job, and which part can't) and `/metrics`."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any, Protocol

import structlog
from msgspec import UNSET, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from shared.http.endpoint import ExactRoute
from shared.http.responses import json_response
from shared.metrics import ServiceMetrics
from shared.tasks import end_tasks
from shared.version import VERSION

CHECK_SECONDS_MAX = 0.8
WATCH_SECONDS = 2.0

log = structlog.get_logger()

Check = Callable[[], Coroutine[Any, Any, str | None]]
"""Answers None when its part is well, else what is wrong, in a few words."""


class SchemaVersions(Protocol):
    """`present` is the database's as it was last seen, None while that fails; `wanted` is this release's. `was_right`
    says whether one was ever seen that this release can work with."""

    present: int | None
    wanted: int
    was_right: bool


class Readiness(Struct):
    """What `/readyz` says; the versions of the schema only where a process opens the database."""

    ready: bool
    version: str
    parts: dict[str, str]
    schema_version: int | UnsetType | None = UNSET
    schema_version_wanted: int | UnsetType = UNSET


class Health:
    """`needed` parts decide whether the process is ready; `told` ones are only told. While the process starts or stops
    (`is_starting`, `is_stopping` in the state of its app) it is not ready either, and answers all the same.
    `/readyz?exclude=<part>` does not ask that part: for a proxy, which is to turn away from a process that stops, or
    whose schema has not come yet, but not from one that says better than the proxy what is wrong."""

    def __init__(
        self,
        metrics: ServiceMetrics,
        needed: Mapping[str, Check],
        *,
        told: Mapping[str, Check] | None = None,
        schema: SchemaVersions | None = None,
    ) -> None:
        self._metrics = metrics
        self._needed = {name: _Part(check) for name, check in needed.items()}
        self._told = {name: _Part(check) for name, check in (told or {}).items()}
        self._schema = schema
        self._troubled: set[str] = set()

    def routes(self) -> list[Route]:
        return [
            ExactRoute("/healthz", _named("/healthz", _healthz), ["GET"]),
            ExactRoute("/readyz", _named("/readyz", self._readyz), ["GET"]),
            ExactRoute("/metrics", _named("/metrics", self._page), ["GET"]),
        ]

    async def watch(self) -> None:
        """Keep the metric of the parts up to date, also where nobody asks for `/readyz`, and log what changes."""
        parts = {**self._needed, **self._told}
        try:
            while True:
                for part, trouble in (await _troubles(parts)).items():
                    self._metrics.part_ok.labels(part).set(trouble is None)
                    self._tell(part, trouble)
                await asyncio.sleep(WATCH_SECONDS)
        finally:
            await end_tasks(part.asking for part in parts.values() if part.asking is not None)

    def _tell(self, part: str, trouble: str | None) -> None:
        if trouble is not None and part not in self._troubled:
            self._troubled.add(part)
            log.warning("part_in_trouble", part=part, trouble=trouble)
        elif trouble is None and part in self._troubled:
            self._troubled.discard(part)
            log.info("part_well_again", part=part)

    async def _readyz(self, request: Request) -> Response:
        excluded = request.query_params.getlist("exclude")
        troubles = await _troubles(self._needed, excluded)
        for state in ("starting", "stopping"):
            if getattr(request.app.state, f"is_{state}", False):
                troubles["process"] = state
        if "store" in excluded and self._schema is not None and not self._schema.was_right:
            troubles["schema"] = f"version {self._schema.wanted} has not been seen yet"
        ready = not any(troubles.values())
        troubles |= await _troubles(self._told, excluded)
        readiness = Readiness(ready, VERSION, {part: trouble or "ok" for part, trouble in troubles.items()})
        if self._schema is not None:
            readiness.schema_version, readiness.schema_version_wanted = self._schema.present, self._schema.wanted
        return json_response(readiness, 200 if ready else 503)

    async def _page(self, _request: Request) -> Response:
        register = self._metrics.register
        return Response(register.exposition(), media_type=register.content_type)


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _troubles(parts: Mapping[str, "_Part"], excluded: Collection[str] = ()) -> dict[str, str | None]:
    asked = [name for name in parts if name not in excluded]
    return dict(zip(asked, await asyncio.gather(*(parts[name].trouble() for name in asked)), strict=True))


class _Part:
    """Asked by one check at a time, which nobody ends: a server that stands still would hold up whoever waited for the
    end, and each further check would take another connection to it."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self.asking: asyncio.Task[str | None] | None = None

    async def trouble(self) -> str | None:
        """A probe waits a second or so: a part that takes longer to answer is not well."""
        if self.asking is None or self.asking.done():
            self.asking = asyncio.create_task(self._check())
        asking = self.asking
        done, _ = await asyncio.wait({asking}, timeout=CHECK_SECONDS_MAX)
        return asking.result() if done else "no answer in time"


def _named(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        request.scope["assay.route"] = path
        return await endpoint(request)

    return handle
