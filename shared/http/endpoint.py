"""One table per service says what each endpoint is: method, path, scope, parameters, body, answers.

From it come the routes with their checks, and OpenAPI. An endpoint that is not in the table does not exist.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.http.credentials import Authenticate, require
from shared.keys import Grant, Scope

Handler = Callable[[Request, Grant], Awaitable[Response]]


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
    scope: Scope
    tag: str
    summary: str
    query: Sequence[Parameter] = ()
    body: Any = None
    body_required: bool = True
    answers: dict[int, Any] = field(default_factory=dict)
    problems: Sequence[int] = ()
    description: str = ""


def routes(endpoints: Sequence[Endpoint], authenticate: Authenticate) -> list[Route]:
    return [Route(endpoint.path, _checked(endpoint, authenticate), methods=[endpoint.method]) for endpoint in endpoints]


def _checked(endpoint: Endpoint, authenticate: Authenticate) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        request.scope["assay.route"] = endpoint.path
        grant = await authenticate(request)
        require(grant, endpoint.scope)
        return await endpoint.handler(request, grant)

    return handle
