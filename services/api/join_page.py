"""`/join`: the page that an invitation's link leads to. It asks for a name and a password, and accepts."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.http.request_id import HEADERS_KEY
from shared.http.security_headers import ON_PAGES

_PAGES = Path(__file__).parent / "pages"
_FILES = {
    "/join": ("join.html", "text/html"),
    "/join/page.css": ("page.css", "text/css"),
    "/join/page.js": ("page.js", "text/javascript"),
}


def join_routes() -> list[Route]:
    return [_route(path, _PAGES / name, media_type) for path, (name, media_type) in _FILES.items()]


def _route(path: str, file: Path, media_type: str) -> Route:
    content = file.read_bytes()

    async def page(request: Request) -> Response:
        request.scope["assay.route"] = path
        request.scope[HEADERS_KEY] = ON_PAGES
        return Response(content, media_type=media_type)

    return Route(path, page)
