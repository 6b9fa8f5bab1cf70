"""The statements that write what the worker decided, and those that look up what it needs to decide."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from services.worker.batch import Batch, Place
from services.worker.judge import REJECTION_COLUMNS, ROW_COLUMNS, Candidate, Key, Rejection
from services.worker.settle import Existing, Tally
from shared.clock import utc_now
from shared.postgres import Connection


class ProjectState(NamedTuple):
    """What the worker has to know of a project before it writes: the revision of its configs, and whether it has
    tombstones at all."""

    config_revision: int
    has_tombstones: bool


async def project_states(connection: Connection, project_ids: list[UUID]) -> dict[UUID, ProjectState]:
    """Of the projects that exist."""
    rows = await connection.fetch(
        """
        SELECT id, config_revision,
            EXISTS (SELECT FROM score_tombstones WHERE project_id = projects.id) AS has_tombstones
        FROM projects
        WHERE id = ANY($1)
        """,
        project_ids,
    )
    return {row["id"]: ProjectState(row["config_revision"], row["has_tombstones"]) for row in rows}


async def done_batches(connection: Connection, batches: Sequence[Batch]) -> set[tuple[UUID, str]]:
    """Those of `batches` that an earlier transaction has written.

    Two masters, while one takes over from the other, can give two batches one id. They differ in when they came.
    """
    rows = await connection.fetch(
        """
        SELECT project_id, batch_id
        FROM batches JOIN unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS asked (project_id, batch_id, received_at)
            USING (project_id, batch_id, received_at)
        """,
        [batch.project_id for batch in batches],
        [batch.batch_id for batch in batches],
        [batch.received_at for batch in batches],
    )
    return {(row["project_id"], row["batch_id"]) for row in rows}


async def existing_scores(connection: Connection, keys: Sequence[Key]) -> dict[Key, Existing]:
    rows = await connection.fetch(
        """
        SELECT project_id, id, version, batch_index, created_at
        FROM scores JOIN unnest($1::uuid[], $2::text[]) AS asked (project_id, id) USING (project_id, id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {
        (str(row["project_id"]), row["id"]): Existing(Place(row["version"], row["batch_index"]), row["created_at"])
        for row in rows
    }


async def tombstones(
    connection: Connection, keys: Iterable[Key], states: Mapping[UUID, ProjectState]
) -> dict[Key, int]:
    """The versions up to which the scores of these keys are deleted. Costs nothing where a project has none."""
    projects = {str(project_id) for project_id, state in states.items() if state.has_tombstones}
    if not projects:
        return {}
    asked = [key for key in keys if key[0] in projects]
    rows = await connection.fetch(
        """
        SELECT project_id, id, version
        FROM score_tombstones JOIN unnest($1::uuid[], $2::text[]) AS asked (project_id, id) USING (project_id, id)
        """,
        [key[0] for key in asked],
        [key[1] for key in asked],
    )
    return {(str(row["project_id"]), row["id"]): row["version"] for row in rows}


async def remove_replaced(connection: Connection, keys: Sequence[Key]) -> None:
    """A replacement is a delete and an insert in one transaction: nobody sees the score missing."""
    if keys:
        await connection.execute(
            """
            DELETE FROM scores USING unnest($1::uuid[], $2::text[]) AS gone (project_id, id)
            WHERE scores.project_id = gone.project_id AND scores.id = gone.id
            """,
            [key[0] for key in keys],
            [key[1] for key in keys],
        )


async def copy_scores(
    connection: Connection, candidates: Sequence[Candidate], existing: Mapping[Key, Existing]
) -> None:
    """In the order of the primary key, so that two transactions which insert the same ids can't deadlock."""
    if not candidates:
        return
    ordered = sorted(candidates, key=itemgetter(0))  # a tuple's first field: its key
    columns: Sequence[str] = ROW_COLUMNS
    records = [candidate.row for candidate in ordered]
    if existing:
        now = utc_now()
        columns = (*ROW_COLUMNS, "created_at", "updated_at")
        records = [(*c.row, _created_at(existing.get(c.key), now), now) for c in ordered]
    await connection.copy_records_to_table("scores", records=records, columns=columns)


def _created_at(before: Existing | None, now: datetime) -> datetime:
    return now if before is None else before.created_at


async def copy_rejections(connection: Connection, rejections: Sequence[Rejection]) -> None:
    """`rejected_at` is Postgres's own time, as is the time that a replay compares it with."""
    if rejections:
        records = [rejection.row() for rejection in rejections]
        await connection.copy_records_to_table("rejected_scores", records=records, columns=REJECTION_COLUMNS)


_INSERT_BATCHES = """
    INSERT INTO batches (project_id, batch_id, received_at, stored, replaced, unchanged, rejected)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::int[], $5::int[], $6::int[], $7::int[])
"""
_ADD_TO_TWINS = """
    ON CONFLICT (project_id, batch_id) DO UPDATE
    SET received_at = excluded.received_at,
        stored = batches.stored + excluded.stored,
        replaced = batches.replaced + excluded.replaced,
        unchanged = batches.unchanged + excluded.unchanged,
        rejected = batches.rejected + excluded.rejected
"""


async def insert_batches(
    connection: Connection, batches: Sequence[Batch], tallies: Mapping[str, Tally], *, twins: bool = False
) -> None:
    """The receipts. A batch that has one already is a unique violation: the caller takes the careful way.

    With `twins` those of `batches` are not done, and one that is there is of another batch with the same id
    (`done_batches`): they share it from then on.
    """
    counts = [tallies[batch.batch_id] for batch in batches]
    await connection.execute(
        _INSERT_BATCHES + _ADD_TO_TWINS if twins else _INSERT_BATCHES,
        [batch.project_id for batch in batches],
        [batch.batch_id for batch in batches],
        [batch.received_at for batch in batches],
        [tally.stored for tally in counts],
        [tally.replaced for tally in counts],
        [tally.unchanged for tally in counts],
        [tally.rejected for tally in counts],
    )
