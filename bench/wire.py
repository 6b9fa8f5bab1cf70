"""The cheapest HTTP client that will do: ready-made requests out, status and the start of the body back.

It shares the machine with what it measures, so it makes no objects it does not need: httpx costs about ten times as
much per request. It understands answers that carry a Content-Length, and nothing else.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import cast

from msgspec import Struct

KEPT_BODY_BYTES = 160  # enough for status and batch id


class Answer(Struct, frozen=True):
    """`seconds` runs from when the request was written; `body` is the beginning of the answer's."""

    status: int
    seconds: float
    body: bytes

    @property
    def batch_id(self) -> str | None:
        _, found, rest = self.body.partition(b'"batch_id":"')
        return rest[: rest.index(b'"')].decode() if found else None


OnAnswer = Callable[["Connection", Answer], None]
OnLost = Callable[["Connection"], None]


def post_requests(path: str, key: str, bodies: Iterable[bytes]) -> list[bytes]:
    """Each body as the bytes of a whole request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()
    return [b"%b%d\r\n\r\n%b" % (head, len(body), body) for body in bodies]


class Connection(asyncio.Protocol):
    """One connection with at most one request under way. `lost` is called when it closes, `busy` tells whether an
    answer was still owed then."""

    def __init__(self, on_answer: OnAnswer, on_lost: OnLost) -> None:
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._missing = 0
        self._status = 0
        self._body = b""
        self._sent_at = 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._on_lost(self)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> None:
        assert self._transport is not None
        self.busy = True
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._take(len(data))
            return
        data = self._received + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._received = data
            return
        self._received = b""
        head = data[:end].lower()
        self._status = int(data[9:12])
        self._body = data[end + 4 : end + 4 + KEPT_BODY_BYTES]
        if b"connection: close" in head:
            self.close()
        self._missing = _length(head)
        self._take(len(data) - end - 4)

    def _take(self, size: int) -> None:
        self._missing -= size
        if not self._missing:
            self.busy = False
            self._on_answer(self, Answer(self._status, time.perf_counter() - self._sent_at, self._body))


def _length(head: bytes) -> int:
    place = head.index(b"content-length:") + 15
    end = head.find(b"\r", place)
    return int(head[place:] if end < 0 else head[place:end])
