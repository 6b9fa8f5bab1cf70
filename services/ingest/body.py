"""Read a request's body: bounded while it arrives, unzipped with a bound too, so that no body can fill the memory."""

import zlib

from starlette.requests import ClientDisconnect, Request

from shared.errors import Malformed, TooLarge, UnsupportedMedia

GZIP_MEMBERS_MAX = 100  # each costs a decompressor, however little it holds
_GZIP = zlib.MAX_WBITS | 16


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The body, decompressed. Raises `UnsupportedMedia`, `TooLarge`, or `Malformed` for broken gzip."""
    _check_media(request)
    compressed = _is_gzip(request)
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared) > bytes_max:
        raise TooLarge(f"The body has {declared} bytes; {bytes_max} are allowed.")
    body = await _received(request, bytes_max)
    return _unzipped(body, bytes_max) if compressed else body


async def _received(request: Request, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > bytes_max:
                raise TooLarge(f"The body has more than {bytes_max} bytes.")
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
