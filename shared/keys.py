"""API keys: what they look like, what is kept of them, and what they allow (SPEC 10). Pure.

A key is `assay_` and 32 random bytes in URL-safe base64. Only its SHA-256 is kept: with 256 random bits there is
nothing to guess, so a slow hash would protect nothing and cost every request.
"""

import hashlib
import secrets
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

PREFIX = "assay_"
SHOWN_LENGTH = len(PREFIX) + 6


class Scope(StrEnum):
    SCORES_WRITE = "scores:write"
    SCORES_READ = "scores:read"
    SCORES_DELETE = "scores:delete"
    CONFIGS_WRITE = "configs:write"
    ADMIN = "admin"


class Quota(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much is taken in a minute; None: as much as comes."""

    requests_per_minute: int | None = None
    scores_per_minute: int | None = None


class Grant(Struct, frozen=True, kw_only=True):
    """What a credential stands for: a project and what may be done there, until when. It is a key's, or in the api also
    that of a signed-in member."""

    key_id: UUID | None = None
    member_id: UUID | None = None
    project_id: UUID
    scopes: tuple[Scope, ...]  # sorted, so that equal grants are equal bytes
    expires_at: datetime | None = None
    key_quota: Quota = Quota()
    project_quota: Quota = Quota()

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def new_key() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def shown_prefix(key: str) -> str:
    """The part by which a person recognises a key in a list."""
    return key[:SHOWN_LENGTH]


def hash_of(key: str) -> bytes:
    """32 bytes; `surrogateescape` because a header may hold any byte and still must not raise here."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
