"""`/join`: the page that an invitation's link leads to. It asks for a name and a password, and accepts."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_PAGES = Path(__file__).parent / "pages"
_FILES = {
    "/join": ("join.html", "text/html"),
    "/join/page.css": ("page.css", "text/css"),
    "/join/page.js": ("page.js", "text/javascript"),
}
# Nothing from elsewhere, nothing inline, and in nobody's frame.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def join_routes() -> list[Route]:
    return [_route(path, _PAGES / name, media_type) for path, (name, media_type) in _FILES.items()]


def _route(path: str, file: Path, media_type: str) -> Route:
    content = file.read_bytes()

    async def page(request: Request) -> Response:
        request.scope["assay.route"] = path
        return Response(content, media_type=media_type, headers=_HEADERS)

    return Route(path, page)
