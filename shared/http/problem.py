"""Errors become answers here and nowhere else: application/problem+json (RFC 9457), an opaque 500 by default."""

import http
import random

import structlog
from msgspec import Struct, json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from shared import errors
from shared.http.request_id import request_id_of, route_of

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

_STATUS_OF: dict[type[errors.AssayError], int] = {
    errors.Malformed: 400,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.BodyTimeout: 408,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.BrokenRule: 422,
    errors.OverLimit: 429,
    errors.TryLater: 503,
    errors.QueryTooWide: 503,
}

_CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 400: "malformed_request"}


class Problem(Struct, kw_only=True, omit_defaults=True):
    """What an error says. `code` is a stable word, `pointer` a JSON pointer or a parameter's name."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    pointer: str | None = None


def problem_response(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    pointer: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    problem = Problem(
        type=f"https://assay.dev/errors#{code}",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id_of(request.scope),
        pointer=pointer,
    )
    return Response(json.encode(problem), status, headers=headers, media_type=MEDIA_TYPE)


def _status_of(error: errors.AssayError) -> int:
    return next((_STATUS_OF[kind] for kind in type(error).__mro__ if kind in _STATUS_OF), 500)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.AssayError)
    status = _status_of(error)
    headers = {}
    if isinstance(error, errors.OverLimit):
        headers["Retry-After"] = str(error.retry_after_seconds)
    elif isinstance(error, errors.TryLater):
        # Spread out, so that those who were refused together do not come back together.
        headers["Retry-After"] = str(random.randint(1, 2 * error.retry_after_seconds))  # noqa: S311 - nobody guesses this
    if isinstance(error, errors.BodyTimeout):
        headers["Connection"] = "close"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(request, status, error.code, error.detail, pointer=error.pointer, headers=headers)


async def _by_starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODE_OF_STATUS.get(error.status_code, "refused")
    headers = dict(error.headers or {})
    return problem_response(request, error.status_code, code, error.detail, headers=headers)


def failure_response(request: Request, error: Exception) -> Response:
    """For an error that nobody expected: opaque to the caller, whole in the log."""
    log.error("request_failed", route=route_of(request.scope), exc_info=error)
    return problem_response(
        request, 500, "internal_error", "Something went wrong on our side. The log has the details."
    )


HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    errors.AssayError: _known,
    HTTPException: _by_starlette,
}
