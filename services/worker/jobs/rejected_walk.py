"""The rejected scores that a job is about, chunk by chunk, the oldest rejection first."""

from contextlib import nullcontext
from typing import Any
from uuid import UUID

from asyncpg import Record
from msgspec.structs import replace

from services.worker.jobs.walk import along_the_index, walk_statement
from shared.conditions import Arguments
from shared.jobs import RejectedFilters, RejectedJob, RejectedPlace
from shared.postgres import Connection
from shared.rejected import rejected_conditions


async def next_rejected(
    connection: Connection, project_id: UUID, wanted: RejectedJob, limit: int
) -> tuple[list[tuple[str, int]], RejectedPlace | None]:
    """At most `limit` (batch id, index), and where the next chunk begins: None at the end of the walk."""
    statement, arguments = rejected_walk_statement(project_id, wanted, limit)
    is_named = bool(wanted.filters.id or wanted.filters.batch_id)  # then they are few, and have an index of their own
    async with nullcontext() if is_named else along_the_index(connection):
        rows: list[Record] = await connection.fetch(statement, *arguments)
    found = [(row["batch_id"], row["index"]) for row in rows if row["is_meant"]]
    if not rows or not (rows[-1]["is_far"] or len(found) == limit):
        return found, None
    last = rows[-1]
    return found, RejectedPlace(last["rejected_at"], last["batch_id"], last["index"])


def rejected_walk_statement(project_id: UUID, wanted: RejectedJob, limit: int) -> tuple[str, list[Any]]:
    """Ids and batches have an index, codes and names have none: they are looked for along the way."""
    arguments = Arguments()
    within = rejected_conditions(replace(wanted.filters, code=(), name=()), project_id, arguments)
    within.append(f"rejected_at <= {arguments.add(wanted.before)}")
    if wanted.place is not None:
        place = (wanted.place.rejected_at, wanted.place.batch_id, wanted.place.index)
        within.append(f"(rejected_at, batch_id, index) > ({', '.join(map(arguments.add, place))})")
    searched = RejectedFilters(code=wanted.filters.code, name=wanted.filters.name)
    meant = rejected_conditions(searched, project_id, arguments)
    return walk_statement("rejected_scores", "rejected_at, batch_id, index", within, meant, limit), arguments.values
