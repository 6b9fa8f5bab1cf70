"""Delete scores for good: the api deletes one, the worker's jobs delete many, both by these statements."""

from collections.abc import Sequence
from uuid import UUID

from shared.postgres import Connection


async def lock_scores_alone(connection: Connection, project_id: UUID) -> None:
    """Comes first in every transaction that takes scores away (see schema.sql)."""
    await connection.execute("SELECT lock_scores_alone($1)", [project_id])


async def delete_scores(connection: Connection, project_id: UUID, ids: Sequence[str], version: int) -> int:
    """Delete the scores of these ids that were received up to `version`; how many there were.

    Every id gets a tombstone, also one that is not stored: its copy may still be in the queue. Twice is harmless.
    """
    await connection.execute(
        """
        INSERT INTO score_tombstones AS t (project_id, id, version)
        SELECT $1, id, $3 FROM unnest($2::text[]) AS given (id) ORDER BY id
        ON CONFLICT (project_id, id) DO UPDATE
        SET version = greatest(t.version, excluded.version), deleted_at = excluded.deleted_at
        """,
        project_id,
        list(dict.fromkeys(ids)),
        version,
    )
    return int(
        await connection.fetchval(
            """
            WITH gone AS (
                DELETE FROM scores WHERE project_id = $1 AND id = ANY($2) AND version <= $3 RETURNING 1
            )
            SELECT count(*) FROM gone
            """,
            project_id,
            list(ids),
            version,
        )
    )
