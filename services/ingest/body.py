"""A request's body as JSON text: what it says it is, received, and unzipped with a bound, so that no body can fill the
memory."""

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from shared.errors import Malformed, TooLarge, UnsupportedMedia
from shared.http.bodies import Bodies, named_in

GZIP_MEMBERS_MAX = 100  # each costs a decompressor, however little it holds
_GZIP = zlib.MAX_WBITS | 16


@asynccontextmanager
async def body_of(request: Request, bodies: Bodies) -> AsyncIterator[bytes]:
    """The body, decompressed; it is in hand until the end of the block. Raises `UnsupportedMedia`, `TooLarge`,
    `BodyTimeout`, `TooBusy`, or `Malformed` for broken gzip."""
    _check_media(request)
    compressed = _is_gzip(request)
    with bodies.room() as held:
        body = await bodies.receive(request, held)
        if compressed:
            body = unzipped(body, bodies.bytes_max)
            held.take(len(body))
        yield body


def _check_media(request: Request) -> None:
    media_type = named_in(request, "content-type", "application/json").partition(";")[0].strip()
    if media_type != "application/json":
        raise UnsupportedMedia("Scores are sent as application/json.", code="unsupported_media_type")


def _is_gzip(request: Request) -> bool:
    encoding = named_in(request, "content-encoding", "identity")
    if encoding not in ("identity", "gzip"):
        raise UnsupportedMedia("Content-Encoding is gzip or nothing.", code="unsupported_encoding")
    return encoding == "gzip"


def unzipped(body: bytes, bytes_max: int) -> bytes:
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
