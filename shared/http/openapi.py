"""OpenAPI 3.1 from the endpoint table and the msgspec types that decode and encode; served, with a page to browse."""

import html
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Send
from starlette.types import Scope as HttpScope

from shared.access import Standing, described
from shared.http.endpoint import Endpoint, ExactRoute, Parameter
from shared.http.problem import MEDIA_TYPE, Problem
from shared.http.request_id import HEADERS_KEY
from shared.http.security_headers import ON_DATA, ON_PAGES, Headers
from shared.keys import Scope
from shared.version import VERSION

_REF = "#/components/schemas/{name}"
_PATH_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")

_PROBLEM_MEANINGS = {
    400: "Not JSON, not the shape, or an unusable parameter",
    401: "No key, or one that is unknown, revoked or expired",
    403: "The key lacks the scope",
    404: "Not there, or another project's",
    408: "The body took too long to arrive",
    409: "The present state forbids it",
    413: "Too large",
    415: "Unsupported media type or encoding",
    422: "Well formed, but against a rule",
    429: "Over a limit: try again after `Retry-After` seconds",
    503: "Can't be done now: try again after `Retry-After` seconds; without that header, ask for less",
}


def document(
    title: str, description: str, endpoints: Sequence[Endpoint], *, session_cookie: str | None = None
) -> dict[str, Any]:
    """`session_cookie` is the name of the cookie by which members sign in, where they do."""
    types = _types_of(endpoints)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(map(id, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, schema_of) | _access(endpoint, session_cookie is not None)
        paths.setdefault(_template(endpoint.path), {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION, "description": description, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            | ({"session": {"type": "apiKey", "in": "cookie", "name": session_cookie}} if session_cookie else {}),
        },
    }


def _access(endpoint: Endpoint, has_sessions: bool) -> dict[str, Any]:
    """What opens the endpoint. A member says which project is meant; a key knows."""
    keys: list[dict[str, Any]] = [{"bearer": []}, {"apiKey": []}]
    session: list[dict[str, Any]] = [{"session": []}] if has_sessions else []
    match endpoint.needs:
        case Standing.ANYONE:
            return {"security": []}
        case Scope():
            return {"security": keys + session}
        case _:
            return {"security": session}


def _template(path: str) -> str:
    """Without Starlette's words for what a parameter takes."""
    return _PATH_PARAMETER.sub(r"{\1}", path)


def _types_of(endpoints: Sequence[Endpoint]) -> list[Any]:
    types: list[Any] = [Problem]
    for endpoint in endpoints:
        types += [parameter.kind for parameter in endpoint.query]
        types += [kind for kind in (endpoint.body, *endpoint.answers.values()) if kind is not None]
    return types


def _operation(endpoint: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', _template(endpoint.path))}".rstrip(
            "_"
        ),
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": f"{endpoint.description}\n\n{described(endpoint.needs)}".strip(),
        "parameters": [
            *(_path_parameter(name) for name in _PATH_PARAMETER.findall(endpoint.path)),
            *(_query_parameter(parameter, schema_of) for parameter in endpoint.query),
        ],
        "responses": {str(status): _answer(kind, schema_of) for status, kind in endpoint.answers.items()}
        | {str(status): _problem(status, schema_of) for status in _problems_of(endpoint)},
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": schema_of[id(endpoint.body)]}}
        operation["requestBody"] = {"required": endpoint.body_required, "content": content}
    return operation


def _problems_of(endpoint: Endpoint) -> list[int]:
    """A body can be late wherever there is one."""
    return sorted({*endpoint.problems, *((408,) if endpoint.body is not None else ())})


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameter(parameter: Parameter, schema_of: dict[int, Any]) -> dict[str, Any]:
    schema = schema_of[id(parameter.kind)]
    if parameter.repeatable:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "description": parameter.description,
        "schema": schema,
        **({"style": "form", "explode": True} if parameter.repeatable else {}),
    }


def _answer(kind: Any, schema_of: dict[int, Any]) -> dict[str, Any]:
    if kind is None:
        return {"description": "Done"}
    return {"description": "The answer", "content": {"application/json": {"schema": schema_of[id(kind)]}}}


def _problem(status: int, schema_of: dict[int, Any]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": schema_of[id(Problem)]}}
    return {"description": _PROBLEM_MEANINGS[status], "content": content}


def document_routes(openapi: dict[str, Any]) -> list[BaseRoute]:
    """`/openapi.json`, and `/docs` with the Swagger UI that comes as a package: no content network is asked."""
    title = html.escape(openapi["info"]["title"])
    return [
        # Encoded once: many readers that take it slowly share the same bytes.
        _fixed("/openapi.json", msgspec.json.encode(openapi), "application/json", ON_DATA),
        _fixed("/docs", _PAGE.format(title=title).encode(), "text/html", ON_PAGES),
        _fixed("/docs/start.js", _START.encode(), "text/javascript", ON_PAGES),
        Mount("/docs/ui", _SwaggerUi()),
    ]


def _fixed(path: str, content: bytes, media_type: str, headers: Headers) -> BaseRoute:
    async def answer(request: Request) -> Response:
        request.scope["assay.route"] = path
        request.scope[HEADERS_KEY] = headers
        return Response(content, media_type=media_type)

    return ExactRoute(path, answer, ["GET"])


class _SwaggerUi(StaticFiles):
    def __init__(self) -> None:
        package = find_spec("flask_swagger_ui")
        assert package is not None
        assert package.origin is not None
        super().__init__(directory=Path(package.origin).parent / "dist")

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        scope["assay.route"] = "/docs/ui"
        scope[HEADERS_KEY] = ON_PAGES
        await super().__call__(scope, receive, send)


_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>{title}</title>
  <link rel="stylesheet" href="docs/ui/swagger-ui.css">
</head>
<body>
  <div id="ui"></div>
  <script src="docs/ui/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</body>
</html>
"""

# A key that is typed in is forgotten with the page.
_START = """SwaggerUIBundle({url: "openapi.json", dom_id: "#ui"})
"""
