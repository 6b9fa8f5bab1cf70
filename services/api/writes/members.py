"""Members, and their roles in workspaces."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from shared.access import Role
from shared.postgres import Connection, affected


class Account(Struct, frozen=True):
    """A member with what only sign-in may see."""

    id: UUID
    email: str
    name: str
    password_hash: str


class Member(Struct, frozen=True):
    """A member of a workspace."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime


async def find_account(connection: Connection, email: str) -> Account | None:
    row = await connection.fetchrow("SELECT id, email, name, password_hash FROM members WHERE email = lower($1)", email)
    return None if row is None else Account(**row)


async def make_account(connection: Connection, email: str, name: str, password_hash: str) -> UUID:
    """The member of that address, with this password if it is a new one: an account is not taken over by being made."""
    made: UUID | None = await connection.fetchval(
        """
        INSERT INTO members (email, name, password_hash) VALUES (lower($1), $2, $3)
        ON CONFLICT (email) DO NOTHING
        RETURNING id
        """,
        email,
        name,
        password_hash,
    )
    return made or (await connection.fetchval("SELECT id FROM members WHERE email = lower($1)", email))


async def has_password(connection: Connection, member_id: UUID, password_hash: str) -> bool:
    """Whether it is still the member's, who keeps it until the end of the transaction."""
    found = await connection.fetchval("SELECT password_hash FROM members WHERE id = $1 FOR UPDATE", member_id)
    return bool(found == password_hash)


async def set_password(connection: Connection, member_id: UUID, password_hash: str) -> None:
    """Twice is harmless."""
    await connection.execute("UPDATE members SET password_hash = $2 WHERE id = $1", member_id, password_hash)


async def role_in_workspace(connection: Connection, workspace_id: UUID, member_id: UUID) -> Role | None:
    role = await connection.fetchval(
        "SELECT role FROM workspace_members WHERE workspace_id = $1 AND member_id = $2", workspace_id, member_id
    )
    return None if role is None else Role(role)


async def role_in_project(connection: Connection, project_id: UUID, member_id: UUID) -> Role | None:
    """The role in the workspace that the project belongs to."""
    role = await connection.fetchval(
        """
        SELECT m.role
        FROM projects AS p
        JOIN workspace_members AS m ON m.workspace_id = p.workspace_id
        WHERE p.id = $1 AND m.member_id = $2
        """,
        project_id,
        member_id,
    )
    return None if role is None else Role(role)


async def workspaces_of(connection: Connection, member_id: UUID) -> Sequence[UUID]:
    rows = await connection.fetch("SELECT workspace_id FROM workspace_members WHERE member_id = $1", member_id)
    return [row["workspace_id"] for row in rows]


async def list_members(connection: Connection, workspace_id: UUID) -> Sequence[Member]:
    rows = await connection.fetch(
        """
        SELECT m.id, m.email, m.name, w.role, w.created_at
        FROM workspace_members AS w
        JOIN members AS m ON m.id = w.member_id
        WHERE w.workspace_id = $1
        ORDER BY m.email
        """,
        workspace_id,
    )
    return [_member(row) for row in rows]


async def get_member(connection: Connection, workspace_id: UUID, member_id: UUID) -> Member | None:
    row = await connection.fetchrow(
        """
        SELECT m.id, m.email, m.name, w.role, w.created_at
        FROM workspace_members AS w
        JOIN members AS m ON m.id = w.member_id
        WHERE w.workspace_id = $1 AND w.member_id = $2
        """,
        workspace_id,
        member_id,
    )
    return None if row is None else _member(row)


async def is_member(connection: Connection, workspace_id: UUID, email: str) -> bool:
    return bool(
        await connection.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM workspace_members AS w
                JOIN members AS m ON m.id = w.member_id
                WHERE w.workspace_id = $1 AND m.email = lower($2)
            )
            """,
            workspace_id,
            email,
        )
    )


async def add_member(connection: Connection, workspace_id: UUID, member_id: UUID, role: Role) -> None:
    """Who is one already keeps the role. Twice is harmless."""
    await connection.execute(
        """
        INSERT INTO workspace_members (workspace_id, member_id, role) VALUES ($1, $2, $3)
        ON CONFLICT (workspace_id, member_id) DO NOTHING
        """,
        workspace_id,
        member_id,
        role,
    )


async def set_role(connection: Connection, workspace_id: UUID, member_id: UUID, role: Role) -> None:
    """Makes a member one of the workspace, or changes the role. Twice is harmless."""
    await connection.execute(
        """
        INSERT INTO workspace_members (workspace_id, member_id, role) VALUES ($1, $2, $3)
        ON CONFLICT (workspace_id, member_id) DO UPDATE SET role = excluded.role
        """,
        workspace_id,
        member_id,
        role,
    )


async def remove_member(connection: Connection, workspace_id: UUID, member_id: UUID) -> bool:
    """Whether there was one. Twice is harmless."""
    tag = await connection.execute(
        "DELETE FROM workspace_members WHERE workspace_id = $1 AND member_id = $2", workspace_id, member_id
    )
    return affected(tag) > 0


async def lock_owners(connection: Connection, workspace_id: UUID) -> Sequence[UUID]:
    """The owners, locked until the end of the transaction: of two who go at once, one stays."""
    rows = await connection.fetch(
        """
        SELECT member_id FROM workspace_members
        WHERE workspace_id = $1 AND role = 'owner'
        ORDER BY member_id
        FOR UPDATE
        """,
        workspace_id,
    )
    return [row["member_id"] for row in rows]


def _member(row: object) -> Member:
    fields = dict(row)  # type: ignore[call-overload]
    return Member(**(fields | {"role": Role(fields["role"])}))
