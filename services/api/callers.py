"""Who calls the api, besides the `Grant` of a project: a signed-in member, and a member of a workspace. Pure."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

from shared.access import Role
from shared.keys import Grant


class SignedIn(Struct, frozen=True):
    """A member, by the session that the cookie names."""

    member_id: UUID
    email: str
    name: str
    session_hash: bytes
    expires_at: datetime


class Membership(Struct, frozen=True):
    """A signed-in member in the workspace that the path names."""

    signed_in: SignedIn
    workspace_id: UUID
    role: Role


Caller: TypeAlias = Grant | Membership | SignedIn | None
"""None: nobody, where nobody is asked for."""
