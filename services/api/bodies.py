"""Read a JSON body into the Struct that the endpoint expects, with our own words for what is wrong."""

from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request

from shared.errors import BrokenRule, Malformed, UnsupportedMedia
from shared.http.bodies import Bodies, named_in
from shared.scores import ESCAPED_NUL

BODY_BYTES_MAX = 1 << 20
BODIES_BYTES_MAX = 64 << 20

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T", bound=Struct)


async def read_body(request: Request, kind: type[T]) -> T:
    """Raises `Malformed` for no JSON, `BrokenRule` for JSON of another shape, `UnsupportedMedia`, `TooLarge`,
    `BodyTimeout`, `TooBusy`."""
    media_type = named_in(request, "content-type", "application/json").partition(";")[0].strip()
    if media_type != "application/json":
        raise UnsupportedMedia("Bodies are sent as application/json.")
    bodies: Bodies = request.app.state.bodies
    with bodies.room() as held:
        return _decoded(await bodies.receive(request, held), kind)


def _decoded(body: bytes, kind: type[T]) -> T:
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
