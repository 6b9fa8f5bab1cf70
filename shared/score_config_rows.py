"""Score configs as rows of Postgres: the columns that worker and api both read, and the Struct they become."""

from asyncpg import Record

from shared.configs import Enforcement, ScoreConfig
from shared.scores import DataType

COLUMNS = (
    "id, project_id, name, data_type, description, min_value, max_value, categories, higher_is_better, enforcement, "
    "version, is_archived, created_at, updated_at"
)


def config_of(row: Record) -> ScoreConfig:
    return ScoreConfig(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        data_type=DataType(row["data_type"]),
        description=row["description"],
        min_value=row["min_value"],
        max_value=row["max_value"],
        categories=None if row["categories"] is None else tuple(row["categories"]),
        higher_is_better=row["higher_is_better"],
        enforcement=Enforcement(row["enforcement"]),
        version=row["version"],
        is_archived=row["is_archived"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
