"""The rate-limit headers of an answer: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers)."""

from collections.abc import Callable

from starlette.requests import Request

from shared.http.request_id import add_header
from shared.quotas import WINDOW_SECONDS, Limit


def teller(request: Request) -> Callable[[Limit], None]:
    """Puts how a quota stands on the answer, whichever it will be."""

    def tell(limit: Limit) -> None:
        add_header(request.scope, "RateLimit-Policy", f'"{limit.name}";q={limit.quota};w={WINDOW_SECONDS}')
        add_header(request.scope, "RateLimit", f'"{limit.name}";r={limit.remaining};t={limit.reset_seconds}')

    return tell
