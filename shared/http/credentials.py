"""The API key of a request, and what it is granted (SPEC 5, 10)."""

from starlette.requests import Request

from shared.errors import NotAllowed, NotAuthenticated
from shared.keys import Grant, Scope

KEY_LENGTH_MAX = 200


def has_key(request: Request) -> bool:
    """Whether the request brings a key, or what is meant as one."""
    return "authorization" in request.headers or "x-api-key" in request.headers


def key_of(request: Request) -> str:
    """The API key that `Authorization: Bearer` or `X-API-Key` carries. Raises `NotAuthenticated` without one."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthenticated("Use 'Authorization: Bearer <API key>'.", code="not_authenticated")
        key = key.strip()
    else:
        key = request.headers.get("x-api-key", "")
    if not key:
        raise NotAuthenticated("An API key is needed: 'Authorization: Bearer <API key>'.")
    if len(key) > KEY_LENGTH_MAX:
        raise NotAuthenticated("That is not an API key.", code="unknown_key")
    return key


def require(grant: Grant, scope: Scope) -> None:
    if not grant.allows(scope):
        raise NotAllowed(f"This credential lacks the scope {scope}.")
