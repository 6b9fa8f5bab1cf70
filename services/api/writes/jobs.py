"""Make background jobs and read how they stand. The row is the truth; arq is only asked to run it."""

from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from shared.jobs import Job, JobKind, JobState
from shared.postgres import Connection

_COLUMNS = "id, kind, state, total, counts, detail, created_at, updated_at, finished_at"


async def make_job(connection: Connection, project_id: UUID, kind: JobKind, arguments: Any, total: int | None) -> Job:
    row = await connection.fetchrow(
        f"""
        INSERT INTO jobs (project_id, kind, arguments, total) VALUES ($1, $2, $3, $4)
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - a constant
        project_id,
        kind,
        msgspec.json.encode(arguments).decode(),
        total,
    )
    assert row is not None
    return _job(row)


async def get_job(connection: Connection, project_id: UUID, job_id: UUID) -> Job | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM jobs WHERE project_id = $1 AND id = $2",  # noqa: S608 - a constant
        project_id,
        job_id,
    )
    return None if row is None else _job(row)


async def list_jobs(connection: Connection, project_id: UUID, limit: int) -> list[Job]:
    """Newest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM jobs WHERE project_id = $1 ORDER BY created_at DESC LIMIT $2",  # noqa: S608
        project_id,
        limit,
    )
    return [_job(row) for row in rows]


def _job(row: Record) -> Job:
    return Job(
        id=row["id"],
        kind=JobKind(row["kind"]),
        state=JobState(row["state"]),
        total=row["total"],
        counts=msgspec.json.decode(row["counts"]),
        detail=row["detail"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        finished_at=row["finished_at"],
    )
