"""The cookie of a signed-in member, and the check that it was our own page that sent it (CSRF)."""

import secrets
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from services.api.settings import Settings
from shared.errors import NotAllowed
from shared.keys import hash_of

TOKEN_LENGTH_MAX = 200
# The prefix makes browsers refuse the cookie from anybody but this very host over TLS.
SECURE_NAME, PLAIN_NAME = "__Host-assay_session", "assay_session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def new_token() -> str:
    """32 random bytes, for a session or a one-time link; only `hash_of` it is kept."""
    return secrets.token_urlsafe(32)


def session_hash_of(request: Request, settings: Settings) -> bytes | None:
    """Of the cookie that came, if one came."""
    token = request.cookies.get(_name(settings))
    return None if not token or len(token) > TOKEN_LENGTH_MAX else hash_of(token)


def set_cookie(response: Response, token: str, settings: Settings) -> None:
    response.set_cookie(
        _name(settings),
        token,
        max_age=settings.session_seconds,
        path="/",
        secure=settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response, settings: Settings) -> None:
    response.delete_cookie(_name(settings), path="/", secure=settings.cookie_secure, httponly=True, samesite="lax")


def refuse_other_origins(request: Request) -> None:
    """Raises `NotAllowed` where another site's page makes a browser send what changes something.

    Browsers say where a request comes from: in `Sec-Fetch-Site`, older ones in `Origin`. Who sends neither is no
    browser, and has no cookie that somebody else could use.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        is_ours = origin is None or _host_in(origin) == request.headers.get("host")
    if not is_ours:
        raise NotAllowed("This request comes from another site's page.", code="foreign_origin")


def _host_in(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _name(settings: Settings) -> str:
    return SECURE_NAME if settings.cookie_secure else PLAIN_NAME
