"""One table per service says what each endpoint is: method, path, scope, parameters, body, answers.

From it come the routes with their checks, and OpenAPI. An endpoint that is not in the table does not exist.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.access import Need
from shared.scores import TEXT_ID_LENGTH_MAX

_ADMIT_KEY = "assay.admit"

Handler = Callable[[Request, Any], Awaitable[Response]]
"""Its second argument is the caller who was admitted: for a `Scope` the `Grant`; what else, each service says."""


@dataclass(frozen=True)
class Parameter:
    """A query parameter. `kind` is the type of one value; `repeatable` ones may be given several times."""

    name: str
    kind: Any
    description: str
    repeatable: bool = False


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    handler: Handler
    needs: Need
    tag: str
    summary: str
    query: Sequence[Parameter] = ()
    body: Any = None
    body_required: bool = True
    answers: dict[int, Any] = field(default_factory=dict)
    problems: Sequence[int] = ()
    description: str = ""


Admit = Callable[[Request, Endpoint], Awaitable[Any]]
"""Returns the caller if the request brings what the endpoint needs; raises `NotAuthenticated` or `NotAllowed`. Each
service has one, and it is the only place where access is decided."""


async def admit_again(request: Request) -> None:
    """For who was admitted a while ago: raises what admission raises now."""
    admit = request.scope.get(_ADMIT_KEY)
    if admit is not None:
        await admit(request)


class _IdOfSender(Convertor[str]):
    """An id of a sender's own, with slashes and line breaks in it. Starlette's `path` ends at a line break, and has no
    length: two of them in one route are tried against each other, which took seconds for a path of 64 KiB."""

    regex = f"(?s:.{{0,{TEXT_ID_LENGTH_MAX}}})"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _IdOfSender())


class ExactRoute(Route):
    """A route for its path and no other: Starlette's `$` lets a line break stand behind it, and what a proxy refuses as
    `/metrics` would come through as `/metrics%0A`."""

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], methods: list[str]) -> None:
        super().__init__(path, endpoint, methods=methods)
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z")


def routes(endpoints: Sequence[Endpoint], admit: Admit) -> list[Route]:
    return [ExactRoute(endpoint.path, _checked(endpoint, admit), [endpoint.method]) for endpoint in endpoints]


def _checked(endpoint: Endpoint, admit: Admit) -> Callable[[Request], Awaitable[Response]]:
    # The request keeps it, so it must not know the request: everything that a request is made of would be a circle, and
    # wait for the garbage collector.
    async def admit_to_this(request: Request) -> Any:
        return await admit(request, endpoint)

    async def handle(request: Request) -> Response:
        request.scope["assay.route"] = endpoint.path
        request.scope[_ADMIT_KEY] = admit_to_this
        caller = await admit(request, endpoint)
        return await endpoint.handler(request, caller)

    return handle
