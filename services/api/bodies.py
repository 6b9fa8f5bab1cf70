"""Read a JSON body into the Struct that the endpoint expects, with our own words for what is wrong."""

from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request

from shared.errors import BrokenRule, Malformed, TooLarge, UnsupportedMedia

BODY_BYTES_MAX = 1 << 20

T = TypeVar("T", bound=Struct)


async def read_body(request: Request, kind: type[T]) -> T:
    """Raises `Malformed` for no JSON, `BrokenRule` for JSON of another shape, `TooLarge`, `UnsupportedMedia`."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMedia("Bodies are sent as application/json.")
    body = await _bounded(request)
    if b"\\u0000" in body:
        raise BrokenRule("Text may not hold the NUL character.", code="nul_character")
    try:
        body.decode()
        decoded: T = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise BrokenRule(f"{error}.", code="invalid_body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {error}.", code="invalid_json") from error
    return decoded


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise TooLarge(f"The body has more than {BODY_BYTES_MAX} bytes.")
    except ClientDisconnect as error:
        raise Malformed("The body ended early.", code="incomplete_body") from error
    return bytes(body)
