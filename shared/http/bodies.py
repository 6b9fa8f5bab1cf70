"""Take the bodies of requests: bounded in bytes and in time while they arrive, each by itself and all of a process
together, so that none can fill the memory; nor can many together, nor one that never ends."""

import asyncio
import time
from typing import Self

from starlette.requests import ClientDisconnect, Request

from shared.errors import BodyTimeout, Malformed, TooBusy, TooLarge
from shared.http.endpoint import admit_again

ADMITTED_SECONDS = 1.0


class Bodies:
    """The bodies that this process has in hand."""

    def __init__(self, bytes_max: int, bytes_max_together: int, seconds_max: float) -> None:
        self.bytes_max = bytes_max
        self._bytes_max_together = max(bytes_max_together, 2 * bytes_max)  # one as sent and unzipped always has room
        self._seconds_max = seconds_max
        self._in_hand = 0

    def room(self) -> "Held":
        """What one request takes of the room for all, until the end of the block that it is used in."""
        return Held(self)

    async def receive(self, request: Request, held: "Held") -> bytes:
        """The body as sent. Who took long to send it is asked again who they are: a key may be revoked meanwhile, a
        session over. Raises `TooLarge`, `BodyTimeout`, `TooBusy`, or `Malformed` when it ends early."""
        declared = request.headers.get("content-length", "0")
        if declared.isascii() and declared.isdigit() and int(declared) > self.bytes_max:
            raise TooLarge(f"The body has {declared} bytes; {self.bytes_max} are allowed.")
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._seconds_max):
                body = await _received(request, self.bytes_max, held)
        except TimeoutError as error:
            raise BodyTimeout(f"The body did not end within {self._seconds_max:g} s.") from error
        if time.monotonic() - began > ADMITTED_SECONDS:
            await admit_again(request)
        return body

    def take(self, size: int) -> None:
        """Raises `TooBusy` when there is no room for as much."""
        if self._in_hand + size > self._bytes_max_together:
            raise TooBusy("Too many bodies are on their way in at once.")
        self._in_hand += size

    def give_back(self, size: int) -> None:
        self._in_hand -= size


class Held:
    """What one request has in hand."""

    __slots__ = ("bodies", "size")

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self.size = 0

    def take(self, size: int) -> None:
        self.bodies.take(size)
        self.size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bodies.give_back(self.size)


async def _received(request: Request, bytes_max: int, held: Held) -> bytes:
    chunks: list[bytes] = []
    try:
        async for chunk in request.stream():
            if held.size + len(chunk) > bytes_max:
                raise TooLarge(f"The body has more than {bytes_max} bytes.")
            held.take(len(chunk))
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise Malformed("The body ended early.", code="incomplete_body") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def named_in(request: Request, header: str, default: str) -> str:
    """The value of a header that may be given once, in lower case. Given twice it is both, which is nothing known."""
    given = request.headers.getlist(header)
    if not given:
        return default
    return (given[0] if len(given) == 1 else ", ".join(given)).strip().lower()
