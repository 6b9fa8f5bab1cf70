"""What this package raises.

    AssayError
    ├─ ConfigurationError   no key, an URL that is none, a setting out of its range
    ├─ InvalidScore         a score that can't be one: at the call, with strict=True only (it is a ValueError too)
    ├─ Unreachable          no answer in time
    └─ ApiError             the server's answer was an error: status, code, detail
       ├─ NotAllowed        401 and 403: the key
       └─ NotFound          404

`score()`, `thumbs()` and `add_score()` raise none of them unless the client is strict. Reading raises.
"""

from __future__ import annotations


class AssayError(Exception):
    """The root of all errors of this package."""


class ConfigurationError(AssayError):
    """The client can't work with these settings."""


class InvalidScore(AssayError, ValueError):
    """A score that can't be one. `code` is the word the server would use, see the error codes in its docs."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.code = code
        self.detail = detail


class Unreachable(AssayError):
    """There was no answer in time."""


class ApiError(AssayError):
    """The server said no. `code` is a stable word; `detail` is a sentence for people."""

    def __init__(self, status: int, code: str, detail: str, *, request_id: str = "", pointer: str = "") -> None:
        super().__init__(f"{status} {code}: {detail}" + (f" (request {request_id})" if request_id else ""))
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.pointer = pointer


class NotAllowed(ApiError):
    """The key is missing, unknown, expired or lacks the scope."""


class NotFound(ApiError):
    """There is no such thing in the project of the key. For a rejected score, `code` is `score_rejected`."""
