"""Run an ASGI app until a signal says stop: readiness drops first, then the listener closes, then the work finishes."""

import asyncio
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.connection import Connection
from shared.http.connections import Connections
from shared.tasks import end_tasks


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the composition root decides when to stop."""

    def install_signal_handlers(self) -> None:
        pass

    def capture_signals(self):  # type: ignore[no-untyped-def]
        import contextlib

        return contextlib.nullcontext()


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def unless_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Do `work` to its end, or up to the stop. Returns whether it was done: what waits at the start can be stopped."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    done = working.done()
    await end_tasks([working, stopping])
    if done:
        working.result()
    return done


async def serve(
    app: Starlette, host: str, port: int, stop: asyncio.Event, *, pause_seconds: float = 0.0, backlog: int = 2048
) -> None:
    """Serve `app` until `stop` is set and every request in hand is answered (30 s at most).

    Between the stop and the closing of the listener lie `pause_seconds` in which the process says that it is not ready:
    the time that load balancers need to look elsewhere. Its answers say `Connection: close` then: whoever keeps
    connections open lets go of them by itself, and sends no request into the one that is just being closed here.
    `app.state.connections` bounds the connections, if it is there.
    """
    connections = getattr(app.state, "connections", None) or Connections()
    config = uvicorn.Config(
        _parting(app),
        host=host,
        port=port,
        loop="none",
        http=cast("type[asyncio.Protocol]", partial(Connection, connections)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=backlog,
        timeout_graceful_shutdown=30,
        timeout_keep_alive=75,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    app.state.is_stopping = True
    if not serving.done():
        await asyncio.sleep(pause_seconds)
    server.should_exit = True
    stopping.cancel()
    await serving


def _parting(app: Starlette) -> ASGIApp:
    """`app`, whose answers end their connections once the process stops."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_parting(message: Message) -> None:
            if message["type"] == "http.response.start" and getattr(app.state, "is_stopping", False):
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await app(scope, receive, send_parting)

    return answer
