"""Make workspaces, projects, members and API keys."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from shared.keys import Scope, hash_of, new_key, shown_prefix
from shared.postgres import Connection


class NewKey(Struct, frozen=True):
    """A key just made. `secret` is known now and never again."""

    id: UUID
    secret: str


async def ensure_workspace(connection: Connection, slug: str, name: str) -> UUID:
    """The workspace of that slug, made if it is missing."""
    return await _id_of(
        connection,
        """
        INSERT INTO workspaces (slug, name) VALUES ($1, $2)
        ON CONFLICT (slug) DO UPDATE SET slug = excluded.slug
        RETURNING id
        """,
        slug,
        name,
    )


async def ensure_project(connection: Connection, workspace_id: UUID, slug: str, name: str) -> UUID:
    """The project of that slug in the workspace, made if it is missing."""
    return await _id_of(
        connection,
        """
        INSERT INTO projects (workspace_id, slug, name) VALUES ($1, $2, $3)
        ON CONFLICT (workspace_id, slug) DO UPDATE SET slug = excluded.slug
        RETURNING id
        """,
        workspace_id,
        slug,
        name,
    )


async def set_member(connection: Connection, workspace_id: UUID, email: str, password_hash: str, role: str) -> UUID:
    """The member of that address with that password and role, made if missing."""
    member_id = await _id_of(
        connection,
        """
        INSERT INTO members (email, name, password_hash) VALUES (lower($1), $1, $2)
        ON CONFLICT (email) DO UPDATE SET password_hash = excluded.password_hash
        RETURNING id
        """,
        email,
        password_hash,
    )
    await connection.execute(
        """
        INSERT INTO workspace_members (workspace_id, member_id, role) VALUES ($1, $2, $3)
        ON CONFLICT (workspace_id, member_id) DO UPDATE SET role = excluded.role
        """,
        workspace_id,
        member_id,
        role,
    )
    return member_id


async def make_key(
    connection: Connection, project_id: UUID, name: str, scopes: Sequence[Scope], expires_at: datetime | None = None
) -> NewKey:
    """A new key each time; only its hash is stored."""
    secret = new_key()
    key_id = await _id_of(
        connection,
        """
        INSERT INTO api_keys (project_id, name, prefix, hash, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
        RETURNING id
        """,
        project_id, name, shown_prefix(secret), hash_of(secret), sorted(scopes), expires_at,
    )  # fmt: skip
    return NewKey(key_id, secret)


async def _id_of(connection: Connection, statement: str, *arguments: object) -> UUID:
    found: UUID = await connection.fetchval(statement, *arguments)
    return found
