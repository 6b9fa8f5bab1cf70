"""Ingest as the bench wants it: `python -m bench.serve queued|noop|plain uvicorn|granian`, settings as always.

`noop` is the limit that ingest stands beside: the same app on the same server, with the same keys, decoding and
answering alike, and a queue that says "done" before anything is written. `plain` compresses nothing.
"""

import asyncio
import os
import sys
from contextlib import ExitStack
from unittest.mock import patch

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.applications import Starlette

from services.ingest import app as ingest
from services.ingest import endpoints
from services.ingest.group_commit import GroupCommit
from services.ingest.settings import Settings
from shared import envelope
from shared.garbage import short_pauses
from shared.http.server import serve, stop_on_signals
from shared.logs import configure_logs
from shared.settings import read_settings


class NoQueue(GroupCommit):
    """Queues nothing and says so to nobody."""

    async def add(self, shard: int, data: bytes) -> str:  # noqa: ARG002
        return "1763625600123-0"


async def serve_with_granian(app: Starlette, settings: Settings, stop: asyncio.Event) -> None:
    """The same promise as `shared.http.server.serve`, kept by granian in this process."""
    server = Server(
        app,
        address=settings.host,
        port=settings.ingest_port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(keep_alive=True),
        websockets=False,
        backlog=2048,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.stop()  # type: ignore[no-untyped-call]
    await serving


async def run(kind: str, server: str, settings: Settings) -> None:
    stop = stop_on_signals()
    # The queue and what is made for it are exchanged, and everything else stays the app that is measured.
    with ExitStack() as patches:
        if kind == "noop":
            patches.enter_context(patch.object(ingest, "GroupCommit", NoQueue))
            patches.enter_context(patch.object(endpoints, "encode", lambda _envelope: b""))
        elif kind == "plain":
            patches.enter_context(patch.object(envelope, "COMPRESS_BYTES_MIN", sys.maxsize))
        async with ingest.open_app(settings) as app, short_pauses():
            if server == "granian":
                await serve_with_granian(app, settings, stop)
            else:
                await serve(app, settings.host, settings.ingest_port, stop)


def main() -> None:
    kind, server = sys.argv[1:]
    settings = read_settings(Settings, os.environ)
    configure_logs("ingest", settings.log_format, settings.log_level)
    uvloop.run(run(kind, server, settings))


if __name__ == "__main__":
    main()
