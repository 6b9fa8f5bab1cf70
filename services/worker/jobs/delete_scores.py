"""Delete scores by ids or by filter, a chunk at a time, with tombstones (SPEC 3).

By filter the job walks: through the scores of one trace, name or whatever the filter names after the other (a lane
each), where an index knows that, else through all scores by time.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from services.worker.jobs.running import Chunk, RunningJob
from services.worker.jobs.walk import along_the_index, walk_statement
from shared.conditions import Arguments, score_conditions, span_conditions
from shared.deletion import delete_scores, lock_scores_alone
from shared.filters import ScoreFilters
from shared.jobs import DeletePlace, DeleteScores
from shared.postgres import Connection
from shared.queue import milliseconds_of

CHUNK_SCORES = 1000
_LANES_BY = ("span_id", "trace_id", "session_id", "user_id", "name")  # each has an index, ordered by time within


async def delete_chunk(connection: Connection, job: RunningJob) -> Chunk:
    """Doing it twice deletes nothing the second time."""
    wanted = msgspec.json.decode(job.arguments, type=DeleteScores)
    await lock_scores_alone(connection, job.project_id)
    if wanted.filters is None:
        deleted = await delete_scores(connection, job.project_id, wanted.ids, wanted.version)
        return Chunk({"deleted": deleted}, is_last=True)
    place = wanted.place or DeletePlace(await connection.fetchval("SELECT now()"))
    ids, next_place = await _next_ids(connection, job.project_id, wanted, wanted.filters, place)
    deleted = await delete_scores(connection, job.project_id, ids, wanted.version)
    if next_place is None and wanted.place and await _was_overtaken(connection, job.project_id, wanted.version, place):
        next_place = DeletePlace(await connection.fetchval("SELECT now()"))
    return Chunk({"deleted": deleted}, is_last=next_place is None, place=next_place)


async def _next_ids(
    connection: Connection, project_id: UUID, wanted: DeleteScores, filters: ScoreFilters, place: DeletePlace
) -> tuple[list[str], DeletePlace | None]:
    """The ids of a chunk, and where the next one begins: None at the end of the walk."""
    lanes = lanes_of(filters)
    ids: list[str] = []
    while True:
        rows = await _walk(connection, project_id, wanted.version, lanes[place.lane], place, CHUNK_SCORES - len(ids))
        ids += [row["id"] for row in rows if row["is_meant"]]
        if rows and (rows[-1]["is_far"] or len(ids) == CHUNK_SCORES):
            return ids, msgspec.structs.replace(place, after=(rows[-1]["scored_at"], rows[-1]["id"]))
        if place.lane + 1 == len(lanes):
            return ids, None
        place = msgspec.structs.replace(place, lane=place.lane + 1, after=None)


def lanes_of(filters: ScoreFilters) -> list[ScoreFilters]:
    """The filter cut into such as name one value of a column that has an index."""
    for column in _LANES_BY:
        values = dict.fromkeys(getattr(filters, column))
        if values:
            return [msgspec.structs.replace(filters, **{column: (value,)}) for value in values]
    return [filters]


async def _walk(
    connection: Connection, project_id: UUID, version: int, lane: ScoreFilters, place: DeletePlace, limit: int
) -> list[Record]:
    statement, arguments = delete_walk_statement(project_id, version, lane, place.after, limit)
    async with along_the_index(connection):
        rows: list[Record] = await connection.fetch(statement, *arguments)
    return rows


def delete_walk_statement(
    project_id: UUID, version: int, lane: ScoreFilters, after: tuple[datetime, str] | None, limit: int
) -> tuple[str, list[Any]]:
    arguments = Arguments()
    column = next((column for column in _LANES_BY if getattr(lane, column)), None)
    known = ScoreFilters() if column is None else ScoreFilters(**{column: getattr(lane, column)})
    within = score_conditions(known, project_id, arguments) + span_conditions("scored_at", lane.span, arguments)
    if after is not None:
        within.append(f"(scored_at, id) > ({arguments.add(after[0])}, {arguments.add(after[1])})")
    meant = [*score_conditions(lane, project_id, arguments), f"version <= {arguments.add(version)}"]
    return walk_statement("scores", "scored_at, id", within, meant, limit), arguments.values


async def _was_overtaken(connection: Connection, project_id: UUID, version: int, place: DeletePlace) -> bool:
    """Whether something that was received before the delete was stored since the walk began: it may lie where the
    walk has been already. Then the job walks again, for a filter means what is stored while the job runs."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM batches
            WHERE project_id = $1 AND done_at >= $2 AND split_part(batch_id, '-', 1)::bigint <= $3
        )
        """,
        project_id,
        place.began_at,
        milliseconds_of(version),
    )
    return found
