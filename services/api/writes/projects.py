"""Projects as their keys see them."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from shared.postgres import Connection


class Project(Struct, frozen=True):
    id: UUID
    slug: str
    name: str
    retention_days: int | None
    created_at: datetime


async def get_project(connection: Connection, project_id: UUID) -> Project | None:
    row = await connection.fetchrow(
        "SELECT id, slug, name, retention_days, created_at FROM projects WHERE id = $1", project_id
    )
    return None if row is None else Project(**row)


async def set_retention(connection: Connection, project_id: UUID, retention_days: int | None) -> None:
    """Twice is harmless."""
    await connection.execute("UPDATE projects SET retention_days = $2 WHERE id = $1", project_id, retention_days)
