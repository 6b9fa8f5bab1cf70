"""What every answer tells a browser: show nothing, run nothing, remember nothing. Made once, added to each answer.

Strict-Transport-Security is not among them: it is for whoever ends TLS, the proxy in front.
"""

Headers = tuple[tuple[bytes, bytes], ...]


def _with_policy(policy: str, cache: str) -> Headers:
    return (
        (b"content-security-policy", policy.encode()),
        (b"cache-control", cache.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
    )


ON_DATA = _with_policy("default-src 'none'; frame-ancestors 'none'", "no-store")
"""Answers are data for programs; one that a browser opens all the same is inert, and in no cache."""

ON_PAGES = _with_policy(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "no-cache",
)
"""`/docs`: Swagger UI from our own origin, which writes styles into its elements."""
