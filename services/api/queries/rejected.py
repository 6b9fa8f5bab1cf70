"""Rejected scores: those of a batch, lists, counts, one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from msgspec import Raw, Struct

from shared.conditions import Arguments
from shared.jobs import RejectedFilters
from shared.postgres import Connection
from shared.rejected import rejected_conditions, rejected_id


class RejectedScore(Struct, kw_only=True):
    """A score that broke a rule: `pointer` is a JSON pointer into `original`, the score as it was sent.

    `id` is the handle of the rejection, `score_id` the id of the score.
    """

    id: str
    batch_id: str
    index: int
    score_id: str
    name: str | None
    code: str
    pointer: str
    detail: str
    config_id: UUID | None
    config_version: int | None
    original: Raw | dict[str, Any]
    request_id: str
    received_at: datetime
    rejected_at: datetime


_COLUMNS = (
    "batch_id, index, score_id, name, code, pointer, detail, config_id, config_version, original, request_id, "
    "received_at, rejected_at"
)


async def rejected_of_batch(connection: Connection, project_id: UUID, batch_id: str) -> list[RejectedScore]:
    """In the order of the request."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM rejected_scores WHERE project_id = $1 AND batch_id = $2 ORDER BY index",  # noqa: S608
        project_id,
        batch_id,
    )
    return [_rejected(row) for row in rows]


class RejectedPosition(Struct, frozen=True, array_like=True):
    rejected_at: datetime
    batch_id: str
    index: int


async def list_rejected(
    connection: Connection, project_id: UUID, filters: RejectedFilters, after: RejectedPosition | None, limit: int
) -> Sequence[RejectedScore]:
    """Newest first, at most `limit`, those beyond `after` if it is given."""
    arguments = Arguments()
    conditions = rejected_conditions(filters, project_id, arguments)
    if after is not None:
        place = ", ".join(arguments.add(part) for part in (after.rejected_at, after.batch_id, after.index))
        conditions.append(f"(rejected_at, batch_id, index) < ({place})")
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM rejected_scores
        WHERE {" AND ".join(conditions)}
        ORDER BY rejected_at DESC, batch_id DESC, index DESC
        LIMIT {arguments.add(limit)}
        """,  # noqa: S608 - values are arguments
        *arguments.values,
    )
    return [_rejected(row) for row in rows]


def _rejected(row: Record) -> RejectedScore:
    return RejectedScore(
        **{
            **dict(row),
            "id": rejected_id(row["batch_id"], row["index"]),
            "original": Raw(row["original"].encode()),
        }
    )


async def get_rejected(connection: Connection, project_id: UUID, batch_id: str, index: int) -> RejectedScore | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM rejected_scores WHERE project_id = $1 AND batch_id = $2 AND index = $3",  # noqa: S608
        project_id,
        batch_id,
        index,
    )
    return None if row is None else _rejected(row)


class RejectedCount(Struct, frozen=True):
    """How many rejected scores have this code and name, and when the last of them came."""

    code: str
    name: str | None
    count: int
    last_rejected_at: datetime


async def count_rejected(
    connection: Connection, project_id: UUID, filters: RejectedFilters, limit: int
) -> list[RejectedCount]:
    """By (code, name), the most frequent first."""
    arguments = Arguments()
    conditions = rejected_conditions(filters, project_id, arguments)
    rows = await connection.fetch(
        f"""
        SELECT code, name, count(*) AS count, max(rejected_at) AS last_rejected_at
        FROM rejected_scores
        WHERE {" AND ".join(conditions)}
        GROUP BY code, name
        ORDER BY count(*) DESC, code, name
        LIMIT {arguments.add(limit)}
        """,  # noqa: S608 - values are arguments
        *arguments.values,
    )
    return [RejectedCount(**row) for row in rows]


async def total_rejected(connection: Connection, project_id: UUID, filters: RejectedFilters) -> int:
    arguments = Arguments()
    conditions = rejected_conditions(filters, project_id, arguments)
    total: int = await connection.fetchval(
        f"SELECT count(*) FROM rejected_scores WHERE {' AND '.join(conditions)}",  # noqa: S608 - values are arguments
        *arguments.values,
    )
    return total
