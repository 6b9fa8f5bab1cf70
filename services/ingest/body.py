"""Read a request's body: bounded while it arrives, unzipped with a bound too, so that no body can fill the memory; nor
can many together, nor one that never ends."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from shared.errors import BodyTimeout, Malformed, TooBusy, TooLarge, UnsupportedMedia

GZIP_MEMBERS_MAX = 100  # each costs a decompressor, however little it holds
_GZIP = zlib.MAX_WBITS | 16


class Bodies:
    """The bodies that this process has in hand."""

    def __init__(self, bytes_max: int, bytes_max_together: int, seconds_max: float) -> None:
        self._bytes_max = bytes_max
        self._bytes_max_together = max(bytes_max_together, 2 * bytes_max)  # one as sent and unzipped always has room
        self._seconds_max = seconds_max
        self._in_hand = 0

    @asynccontextmanager
    async def body_of(self, request: Request) -> AsyncIterator[bytes]:
        """The body, decompressed; it is in hand until the end of the block. Raises `UnsupportedMedia`, `TooLarge`,
        `BodyTimeout`, `TooBusy`, or `Malformed` for broken gzip."""
        held = _Held(self)
        try:
            yield await self._read(request, held)
        finally:
            self._in_hand -= held.size

    async def _read(self, request: Request, held: "_Held") -> bytes:
        _check_media(request)
        compressed = _is_gzip(request)
        declared = request.headers.get("content-length", "0")
        if declared.isascii() and declared.isdigit() and int(declared) > self._bytes_max:
            raise TooLarge(f"The body has {declared} bytes; {self._bytes_max} are allowed.")
        try:
            async with asyncio.timeout(self._seconds_max):
                body = await _received(request, self._bytes_max, held)
        except TimeoutError as error:
            raise BodyTimeout(f"The body did not end within {self._seconds_max:g} s.") from error
        if compressed:
            body = _unzipped(body, self._bytes_max)
            held.take(len(body))
        return body

    def take(self, size: int) -> None:
        """Raises `TooBusy` when there is no room for as much."""
        if self._in_hand + size > self._bytes_max_together:
            raise TooBusy("Too many bodies are on their way in at once.")
        self._in_hand += size


class _Held:
    """What one request has in hand."""

    __slots__ = ("bodies", "size")

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self.size = 0

    def take(self, size: int) -> None:
        self.bodies.take(size)
        self.size += size


async def _received(request: Request, bytes_max: int, held: _Held) -> bytes:
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


def _check_media(request: Request) -> None:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMedia("Scores are sent as application/json.", code="unsupported_media_type")


def _is_gzip(request: Request) -> bool:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedMedia("Content-Encoding is gzip or nothing.", code="unsupported_encoding")
    return encoding == "gzip"


def _unzipped(body: bytes, bytes_max: int) -> bytes:
    """All members of the gzip stream, never more than `bytes_max` bytes of them in memory."""
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest:
        if len(parts) == GZIP_MEMBERS_MAX:
            raise Malformed(f"The gzip body has more than {GZIP_MEMBERS_MAX} members.", code="invalid_gzip")
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(rest, bytes_max - size + 1)
        except zlib.error as error:
            raise Malformed(f"The body is not gzip: {error}.", code="invalid_gzip") from error
        size += len(part)
        if size > bytes_max or member.unconsumed_tail:
            raise TooLarge(f"The body unzips to more than {bytes_max} bytes.")
        if not member.eof:
            raise Malformed("The gzip body ends early.", code="invalid_gzip")
        parts.append(part)
        rest = member.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)
