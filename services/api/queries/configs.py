"""Score configs as the api reads them."""

from uuid import UUID

from shared.configs import ScoreConfig
from shared.postgres import Connection
from shared.score_config_rows import COLUMNS, config_of


async def list_configs(
    connection: Connection, project_id: UUID, *, names: tuple[str, ...], include_archived: bool
) -> list[ScoreConfig]:
    """By name, the active one first, then the archived ones from the newest to the oldest."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS}
        FROM score_configs
        WHERE project_id = $1 AND (name = ANY($2) OR cardinality($2::text[]) = 0) AND ($3 OR NOT is_archived)
        ORDER BY name, is_archived, created_at DESC
        """,  # noqa: S608 - a constant
        project_id,
        list(names),
        include_archived,
    )
    return [config_of(row) for row in rows]


async def get_config(
    connection: Connection, project_id: UUID, config_id: UUID, *, for_update: bool = False
) -> ScoreConfig | None:
    lock = "FOR UPDATE" if for_update else ""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM score_configs WHERE project_id = $1 AND id = $2 {lock}",  # noqa: S608 - constants
        project_id,
        config_id,
    )
    return None if row is None else config_of(row)
