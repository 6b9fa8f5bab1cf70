"""Invitations into a workspace, by a one-time link: 32 random bytes in the link, their SHA-256 here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from shared.access import Role
from shared.postgres import Connection, affected


class Invitation(Struct, frozen=True):
    """An invitation that nobody has accepted yet."""

    id: UUID
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime


class Accepted(Struct, frozen=True):
    """What an invitation that was just accepted is good for."""

    id: UUID
    workspace_id: UUID
    email: str
    role: Role


async def make_invitation(
    connection: Connection, workspace_id: UUID, email: str, role: Role, token_hash: bytes, lasts: timedelta
) -> Invitation:
    """A new one each time; an earlier one for the same address is withdrawn."""
    await connection.execute(
        "DELETE FROM invitations WHERE workspace_id = $1 AND email = lower($2) AND accepted_at IS NULL",
        workspace_id,
        email,
    )
    row = await connection.fetchrow(
        """
        INSERT INTO invitations (workspace_id, email, role, hash, expires_at)
        VALUES ($1, lower($2), $3, $4, now() + $5::interval)
        RETURNING id, email, role, created_at, expires_at
        """,
        workspace_id, email, role, token_hash, lasts,
    )  # fmt: skip
    return _invitation(row)


async def list_invitations(connection: Connection, workspace_id: UUID) -> Sequence[Invitation]:
    rows = await connection.fetch(
        """
        SELECT id, email, role, created_at, expires_at
        FROM invitations
        WHERE workspace_id = $1 AND accepted_at IS NULL AND expires_at > now()
        ORDER BY created_at DESC
        """,
        workspace_id,
    )
    return [_invitation(row) for row in rows]


async def withdraw_invitation(connection: Connection, workspace_id: UUID, invitation_id: UUID) -> bool:
    """Whether there was one that could still be accepted. Twice is harmless."""
    tag = await connection.execute(
        "DELETE FROM invitations WHERE workspace_id = $1 AND id = $2 AND accepted_at IS NULL",
        workspace_id,
        invitation_id,
    )
    return affected(tag) > 0


async def find_invitation(connection: Connection, token_hash: bytes) -> Accepted | None:
    """One that can still be accepted."""
    row = await connection.fetchrow(
        """
        SELECT id, workspace_id, email, role
        FROM invitations
        WHERE hash = $1 AND accepted_at IS NULL AND expires_at > now()
        """,
        token_hash,
    )
    return None if row is None else Accepted(row["id"], row["workspace_id"], row["email"], Role(row["role"]))


async def use_invitation(connection: Connection, invitation_id: UUID) -> bool:
    """Whether it was this call that used it: of two at once, one is."""
    tag = await connection.execute(
        "UPDATE invitations SET accepted_at = now() WHERE id = $1 AND accepted_at IS NULL AND expires_at > now()",
        invitation_id,
    )
    return affected(tag) > 0


def _invitation(row: object) -> Invitation:
    fields = dict(row)  # type: ignore[call-overload]
    return Invitation(**(fields | {"role": Role(fields["role"])}))
