"""A connection that is fed with any bytes in any pieces: what holds for `shared.http.connection`, whatever comes."""

import asyncio
import re
from functools import cache
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from shared.http.connection import HEADERS_MAX, SENT_AHEAD_MAX, Connection
from shared.http.connections import Connections


def fuzz_connection(data: bytes) -> None:
    """Bytes of a connection, in pieces as long as the first byte says: answers, or its end; never an exception."""
    _loop().run_until_complete(_converse(data[1:], 1 + (data[0] if data else 0)))


class _Transport(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.written_late = False

    def write(self, data: Any) -> None:
        self.written_late |= self.closed
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


misled: list[Any] = []
"""Headers that the app must not have seen."""


async def _app(scope: Any, receive: Any, send: Any) -> None:
    codings = [value.strip().lower() for name, value in scope["headers"] if name == b"transfer-encoding"]
    if len(scope["headers"]) > HEADERS_MAX or codings not in ([], [b"chunked"]):
        misled.append(scope["headers"])
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One for all inputs: a new one takes longer than most of them."""
    return asyncio.new_event_loop()


@cache
def _config() -> uvicorn.Config:
    config = uvicorn.Config(_app, lifespan="off", ws="none", log_config=None, access_log=False)
    config.load()
    config.loaded_app = _app
    return config


@cache
def _connections() -> Connections:
    """One for all inputs: each would log its first refusal."""
    return Connections()


async def _converse(data: bytes, piece: int) -> None:
    failures: list[Any] = []
    misled.clear()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
    state, transport = ServerState(), _Transport()
    connection = Connection(_connections(), _config(), state, {})
    connection.connection_made(transport)
    for at in range(0, len(data), piece):
        if transport.closed:
            break
        connection.data_received(data[at : at + piece])
        assert len(connection.pipeline) <= SENT_AHEAD_MAX + 1
        await asyncio.sleep(0)
    connection.connection_lost(None)
    if state.tasks:
        await asyncio.wait(state.tasks)
    written = b"".join(transport.written)
    assert len(re.findall(rb"HTTP/1\.1 [45]\d\d ", written)) <= 1  # a refusal is the end
    assert b"HTTP/1.1 5" not in written
    assert not failures
    assert not transport.written_late
    assert not misled
