"""Receipts and rejected scores, as the worker wrote them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from msgspec import Raw, Struct

from services.api.queries.conditions import Arguments, span_conditions
from services.api.windows import Span
from shared.postgres import Connection


class Counts(Struct, frozen=True):
    """What became of the scores of a batch."""

    stored: int
    replaced: int
    unchanged: int
    rejected: int
    received_at: datetime
    done_at: datetime


class RejectedScore(Struct, kw_only=True):
    """A score that broke a rule: `pointer` is a JSON pointer into `original`, the score as it was sent."""

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


async def rejected_of_batch(connection: Connection, project_id: UUID, batch_id: str) -> list[RejectedScore]:
    """In the order of the request."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM rejected_scores WHERE project_id = $1 AND batch_id = $2 ORDER BY index",  # noqa: S608
        project_id,
        batch_id,
    )
    return [_rejected(row) for row in rows]


class RejectedFilters(Struct, frozen=True, kw_only=True):
    code: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    batch_id: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None


class RejectedPosition(Struct, frozen=True, array_like=True):
    rejected_at: datetime
    batch_id: str
    index: int


async def list_rejected(
    connection: Connection, project_id: UUID, filters: RejectedFilters, after: RejectedPosition | None, limit: int
) -> Sequence[RejectedScore]:
    """Newest first, at most `limit`, those beyond `after` if it is given."""
    arguments = Arguments()
    conditions = [f"project_id = {arguments.add(project_id)}"]
    for column in ("code", "name", "batch_id"):
        values = getattr(filters, column)
        if values:
            conditions.append(f"{column} = ANY({arguments.add(list(values))}::text[])")
    conditions += span_conditions("rejected_at", Span(filters.start, filters.end), arguments)
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
    return RejectedScore(**{**dict(row), "original": Raw(row["original"].encode())})
