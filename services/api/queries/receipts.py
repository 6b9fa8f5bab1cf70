"""Receipts, as the worker wrote them with the scores of a batch."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from shared.postgres import Connection


class Counts(Struct, frozen=True):
    """What became of the scores of a batch."""

    stored: int
    replaced: int
    unchanged: int
    rejected: int
    received_at: datetime
    done_at: datetime


async def get_counts(connection: Connection, project_id: UUID, batch_id: str) -> Counts | None:
    row = await connection.fetchrow(
        """
        SELECT stored, replaced, unchanged, rejected, received_at, done_at
        FROM batches
        WHERE project_id = $1 AND batch_id = $2
        """,
        project_id,
        batch_id,
    )
    return None if row is None else Counts(*row.values())
