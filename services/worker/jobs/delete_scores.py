"""Delete scores by ids or by filter, a chunk at a time, with tombstones (SPEC 3)."""

import msgspec

from services.worker.jobs.running import Chunk, RunningJob
from shared.conditions import Arguments, score_conditions, span_conditions
from shared.deletion import delete_scores, lock_scores_alone
from shared.filters import ScoreFilters
from shared.jobs import DeleteScores
from shared.postgres import Connection

CHUNK_SCORES = 1000


async def delete_chunk(connection: Connection, job: RunningJob) -> Chunk:
    """Doing it twice deletes nothing the second time."""
    wanted = msgspec.json.decode(job.arguments, type=DeleteScores)
    await lock_scores_alone(connection, job.project_id)
    if wanted.filters is None:
        deleted = await delete_scores(connection, job.project_id, wanted.ids, wanted.version)
        return Chunk({"deleted": deleted}, is_last=True)
    ids = await _next_ids(connection, job, wanted.filters, wanted.version)
    deleted = await delete_scores(connection, job.project_id, ids, wanted.version)
    return Chunk({"deleted": deleted}, is_last=len(ids) < CHUNK_SCORES)


async def _next_ids(connection: Connection, job: RunningJob, filters: ScoreFilters, version: int) -> list[str]:
    arguments = Arguments()
    conditions = score_conditions(filters, job.project_id, arguments)
    conditions += span_conditions("scored_at", filters.span, arguments)
    conditions.append(f"version <= {arguments.add(version)}")
    rows = await connection.fetch(
        f"""
        SELECT id FROM scores
        WHERE {" AND ".join(conditions)}
        LIMIT {arguments.add(CHUNK_SCORES)}
        """,  # noqa: S608 - values are arguments
        *arguments.values,
    )
    return [row["id"] for row in rows]
