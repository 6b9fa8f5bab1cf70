"""Write score configs: each change of a rule is a new version, and old versions are kept.

The workers see a change from their next transaction on: a trigger counts up the project's `config_revision`.
"""

from uuid import UUID

import asyncpg
from msgspec import Struct

from services.api.queries.configs import get_config
from shared.configs import Enforcement, ScoreConfig
from shared.errors import Conflict, NotFound
from shared.postgres import Connection, savepoint
from shared.score_config_rows import COLUMNS, config_of
from shared.scores import DataType


class Draft(Struct, frozen=True, kw_only=True):
    """A config that is well formed (shared.configs.fault_of_rule) and not yet stored."""

    name: str
    data_type: DataType
    description: str | None = None
    min_value: float | None = None
    max_value: float | None = None
    categories: tuple[str, ...] | None = None
    higher_is_better: bool | None = None
    enforcement: Enforcement = Enforcement.REJECT


async def insert_config(connection: Connection, project_id: UUID, draft: Draft) -> ScoreConfig:
    """Raises `Conflict` when an active config has that name: running it twice makes one."""
    try:
        async with savepoint(connection):
            row = await connection.fetchrow(
                f"""
                INSERT INTO score_configs
                    (project_id, name, data_type, description, min_value, max_value, categories, higher_is_better,
                    enforcement)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                RETURNING {COLUMNS}
                """,  # noqa: S608 - a constant
                project_id, draft.name, draft.data_type, draft.description, draft.min_value, draft.max_value,
                draft.categories, draft.higher_is_better, draft.enforcement,
            )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise _name_taken(draft.name) from error
    assert row is not None
    config = config_of(row)
    await _keep_version(connection, config)
    return config


async def update_config(connection: Connection, config: ScoreConfig) -> ScoreConfig:
    """Store `config`, changed since it was read FOR UPDATE, as its next version."""
    row = await connection.fetchrow(
        f"""
        UPDATE score_configs
        SET description = $3, min_value = $4, max_value = $5, categories = $6, higher_is_better = $7,
            enforcement = $8, version = version + 1, updated_at = now()
        WHERE project_id = $1 AND id = $2
        RETURNING {COLUMNS}
        """,  # noqa: S608 - a constant
        config.project_id, config.id, config.description, config.min_value, config.max_value, config.categories,
        config.higher_is_better, config.enforcement,
    )  # fmt: skip
    assert row is not None
    updated = config_of(row)
    await _keep_version(connection, updated)
    return updated


async def set_archived(connection: Connection, project_id: UUID, config_id: UUID, *, archived: bool) -> ScoreConfig:
    """Archive or restore; doing it twice changes nothing. Raises `NotFound`, or `Conflict` when the name is taken."""
    config = await get_config(connection, project_id, config_id, for_update=True)
    if config is None:
        raise NotFound("There is no such score config.")
    if config.is_archived == archived:
        return config
    try:
        async with savepoint(connection):
            row = await connection.fetchrow(
                f"""
                UPDATE score_configs
                SET is_archived = $3, updated_at = now()
                WHERE project_id = $1 AND id = $2
                RETURNING {COLUMNS}
                """,  # noqa: S608 - a constant
                project_id,
                config_id,
                archived,
            )
    except asyncpg.UniqueViolationError as error:
        raise _name_taken(config.name) from error
    assert row is not None
    return config_of(row)


def _name_taken(name: str) -> Conflict:
    return Conflict(f"There is an active score config named {name!r}.", code="name_taken", pointer="/name")


async def _keep_version(connection: Connection, config: ScoreConfig) -> None:
    await connection.execute(
        """
        INSERT INTO score_config_versions
            (config_id, version, data_type, description, min_value, max_value, categories, higher_is_better,
            enforcement)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        config.id, config.version, config.data_type, config.description, config.min_value, config.max_value,
        config.categories, config.higher_is_better, config.enforcement,
    )  # fmt: skip
