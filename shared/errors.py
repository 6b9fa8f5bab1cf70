"""Every error that leaves its level, as one tree. `shared.http.problem` is where they become answers.

    AssayError
    ├── RequestRefused             the caller has to change something
    │   ├── Malformed              400  not JSON, not the shape, an unusable parameter
    │   ├── NotAuthenticated       401  no key, or one that is not known
    │   ├── NotAllowed             403  the key lacks the scope
    │   ├── NotFound               404  not there, or someone else's: the two look the same
    │   ├── Conflict               409  the present state forbids it
    │   ├── TooLarge               413
    │   ├── UnsupportedMedia       415
    │   └── BrokenRule             422  well formed, but against a rule
    ├── TryLater                   503  the same request can succeed later
    │   ├── OverLimit              429  after a time that is known
    │   │   ├── OverQuota               of the key or its project
    │   │   ├── TooManyAttempts         to sign in
    │   │   └── TooManyQueries          of one project at once
    │   ├── QueueFull
    │   ├── QueueUnavailable
    │   └── StoreUnavailable
    ├── QueryTooWide               503  the statement ran into its time limit: the same one will again
    └── UnreadableEnvelope         a queue entry that this release cannot read

`code` is a stable word (docs/errors.md lists them), `detail` is one sentence for a person, `pointer` names the place in
the request where there is one.
"""


class AssayError(Exception):
    code = "internal_error"

    def __init__(self, detail: str, *, code: str | None = None, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.pointer = pointer


class RequestRefused(AssayError):
    code = "bad_request"


class Malformed(RequestRefused):
    code = "malformed_request"


class NotAuthenticated(RequestRefused):
    code = "not_authenticated"


class NotAllowed(RequestRefused):
    code = "missing_scope"


class NotFound(RequestRefused):
    code = "not_found"


class Conflict(RequestRefused):
    code = "conflict"


class TooLarge(RequestRefused):
    code = "body_too_large"


class BodyTimeout(RequestRefused):
    """The body did not come to its end in time. The rest is not waited for: the connection is closed."""

    code = "body_timeout"


class UnsupportedMedia(RequestRefused):
    code = "unsupported_media_type"


class BrokenRule(RequestRefused):
    code = "broken_rule"


class TryLater(AssayError):
    code = "unavailable"
    retry_after_seconds = 2  # on average: see shared.http.problem


class QueueFull(TryLater):
    code = "queue_full"
    retry_after_seconds = 3


class QueueUnavailable(TryLater):
    code = "queue_unavailable"


class TooBusy(TryLater):
    """This process has as many bytes of bodies in hand as it may."""

    code = "too_busy"


class StoreUnavailable(TryLater):
    code = "store_unavailable"


class QueryTooWide(AssayError):
    code = "query_timeout"


class OverLimit(TryLater):
    """The caller asked for more than it may; after `retry_after_seconds` it may again."""

    code = "over_limit"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class OverQuota(OverLimit):
    code = "over_quota"


class TooManyAttempts(OverLimit):
    code = "too_many_attempts"


class TooManyQueries(OverLimit):
    """The project has as many queries in hand at this process as it may, and none ended in time."""

    code = "too_many_queries"


class UnreadableEnvelope(AssayError):
    code = "unreadable_envelope"
