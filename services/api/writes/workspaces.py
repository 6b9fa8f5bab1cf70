"""Workspaces and their projects."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from shared.access import Role
from shared.errors import Conflict
from shared.postgres import Connection, savepoint


class ProjectRow(Struct, frozen=True):
    """A project as members of its workspace see it. Quotas are per minute; null: none."""

    id: UUID
    slug: str
    name: str
    retention_days: int | None
    requests_per_minute: int | None
    scores_per_minute: int | None
    created_at: datetime


class WorkspaceRow(Struct, frozen=True):
    """A workspace with the role that one member has in it."""

    id: UUID
    slug: str
    name: str
    role: Role
    created_at: datetime


_PROJECT = "id, slug, name, retention_days, requests_per_minute, scores_per_minute, created_at"


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


async def list_workspaces(connection: Connection, member_id: UUID) -> Sequence[WorkspaceRow]:
    """Those that the member belongs to."""
    rows = await connection.fetch(
        """
        SELECT w.id, w.slug, w.name, m.role, w.created_at
        FROM workspace_members AS m
        JOIN workspaces AS w ON w.id = m.workspace_id
        WHERE m.member_id = $1
        ORDER BY w.slug
        """,
        member_id,
    )
    return [WorkspaceRow(row["id"], row["slug"], row["name"], Role(row["role"]), row["created_at"]) for row in rows]


async def find_workspace(connection: Connection, slug: str) -> UUID | None:
    found: UUID | None = await connection.fetchval("SELECT id FROM workspaces WHERE slug = $1", slug)
    return found


async def list_all_workspaces(connection: Connection) -> Sequence[tuple[UUID, str]]:
    """Ids and slugs, for the operator."""
    rows = await connection.fetch("SELECT id, slug FROM workspaces ORDER BY slug")
    return [(row["id"], row["slug"]) for row in rows]


async def rename_workspace(connection: Connection, workspace_id: UUID, name: str) -> None:
    """Twice is harmless."""
    await connection.execute("UPDATE workspaces SET name = $2 WHERE id = $1", workspace_id, name)


async def list_projects(connection: Connection, workspace_id: UUID) -> Sequence[ProjectRow]:
    rows = await connection.fetch(
        f"SELECT {_PROJECT} FROM projects WHERE workspace_id = $1 ORDER BY slug",  # noqa: S608 - a constant
        workspace_id,
    )
    return [ProjectRow(**row) for row in rows]


async def insert_project(connection: Connection, workspace_id: UUID, slug: str, name: str) -> ProjectRow:
    """Raises `Conflict` when the workspace has a project of that slug: running it twice makes one."""
    try:
        async with savepoint(connection):
            row = await connection.fetchrow(
                f"INSERT INTO projects (workspace_id, slug, name) VALUES ($1, $2, $3) RETURNING {_PROJECT}",  # noqa: S608
                workspace_id,
                slug,
                name,
            )
    except asyncpg.UniqueViolationError as error:
        raise Conflict("The workspace has a project of that slug.", code="slug_taken", pointer="/slug") from error
    return ProjectRow(**row)


async def update_project(
    connection: Connection, workspace_id: UUID, project_id: UUID, changes: dict[str, Any]
) -> ProjectRow | None:
    """`changes` by column, of those that `ProjectChange` names; None when there is no such project. Twice is
    harmless."""
    assignments = ", ".join(f"{column} = ${number}" for number, column in enumerate(changes, 3))
    row = await connection.fetchrow(
        f"""
        UPDATE projects SET {assignments or "name = name"}
        WHERE workspace_id = $1 AND id = $2
        RETURNING {_PROJECT}
        """,  # noqa: S608 - names of our own
        workspace_id,
        project_id,
        *changes.values(),
    )
    return None if row is None else ProjectRow(**row)


async def _id_of(connection: Connection, statement: str, *arguments: object) -> UUID:
    found: UUID = await connection.fetchval(statement, *arguments)
    return found
