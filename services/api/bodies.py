"""Read a JSON body into the Struct that the endpoint expects, with our own words for what is wrong."""

from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request

from shared.errors import BrokenRule, Malformed, TooLarge, UnsupportedMedia
from shared.scores import ESCAPED_NUL

BODY_BYTES_MAX = 1 << 20

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T", bound=Struct)


async def read_body(request: Request, kind: type[T]) -> T:
    """Raises `Malformed` for no JSON, `BrokenRule` for JSON of another shape, `TooLarge`, `UnsupportedMedia`."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMedia("Bodies are sent as application/json.")
    body = await _bounded(request)
    if ESCAPED_NUL.search(body):
        raise BrokenRule("Text may not hold the NUL character.", code="nul_character")
    try:
        body.decode()
        decoded: T = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        _check_json(body)
        raise BrokenRule(f"{error}.", code="invalid_body") from error
    except NOT_JSON as error:
        raise _not_json(error) from error
    return decoded


def _check_json(body: bytes) -> None:
    """The decoder may find a wrong shape before it finds that what follows is no JSON."""
    try:
        msgspec.json.decode(body)
    except NOT_JSON as error:
        raise _not_json(error) from error


def _not_json(error: Exception) -> Malformed:
    return Malformed(f"The body is not JSON: {error}.", code="invalid_json")


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
