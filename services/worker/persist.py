"""One transaction for some batches: scores, rejected scores, receipts; the rollups follow by trigger (SPEC 7, 9).

The straight way supposes that every id is new, which is nearly always so, and copies straight into the table. When the
database contradicts (an id or a batch is there already, a value it can't hold), nothing has happened yet, and the
careful way does the same work with the projects to itself: it looks up what exists, replaces what is older, leaves what
is newer, and isolates what Postgres refuses.

Running either twice is harmless: a batch that is in `batches` is done and is passed over.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
from msgspec import Struct

from services.worker.batch import Batch
from services.worker.config_cache import ConfigCache
from services.worker.judge import (
    REJECTION_COLUMNS,
    ROW_COLUMNS,
    Candidate,
    Key,
    Rejection,
    judge,
)
from services.worker.settle import Existing, Tally, reject_after_all, settle
from shared.clock import utc_now
from shared.postgres import Connection, Pool
from shared.validation import Invalid

# SQLSTATE classes that say a value itself is at fault: data exception, integrity constraint, a limit of the program.
_VALUE_CLASSES = ("22", "23", "54")


class Persisted(Struct, frozen=True):
    """What one transaction did. `already` counts the batches that an earlier transaction had written."""

    way: Literal["straight", "careful"]
    tallies: dict[str, Tally]
    rejection_codes: list[str]
    already: int = 0


async def persist(pool: Pool, cache: ConfigCache, batches: Sequence[Batch]) -> Persisted:
    """Everything of `batches` is in the database when this returns. Raises what Postgres raises when it is away or
    busy: then nothing is."""
    try:
        return await _straight(pool, cache, list(batches))
    except asyncpg.PostgresError as error:
        if not _is_about_values(error):
            raise
    return await _careful(pool, cache, list(batches))


def _is_about_values(error: asyncpg.PostgresError) -> bool:
    return (error.sqlstate or "")[:2] in _VALUE_CLASSES


async def _straight(pool: Pool, cache: ConfigCache, batches: list[Batch]) -> Persisted:
    async with pool.acquire() as connection, connection.transaction():
        project_ids = _projects(batches)
        await connection.execute("SELECT lock_scores_shared($1)", project_ids)
        rules = await cache.rules_of(connection, await _revisions(connection, project_ids))
        candidates, rejections = judge(batches, rules)
        settled = settle(batches, candidates, rejections, {})
        await _insert_batches(connection, batches, settled.tallies)
        await _copy_rejections(connection, rejections)
        await _copy_scores(connection, list(settled.latest.values()))
    return Persisted("straight", settled.tallies, [rejection.verdict.code for rejection in rejections])


async def _careful(pool: Pool, cache: ConfigCache, batches: list[Batch]) -> Persisted:
    async with pool.acquire() as connection, connection.transaction():
        project_ids = _projects(batches)
        await connection.execute("SELECT lock_scores_alone($1)", project_ids)
        done = await _done_batches(connection, batches)
        todo = [batch for batch in batches if (batch.project_id, batch.batch_id) not in done]
        rules = await cache.rules_of(connection, await _revisions(connection, project_ids))
        candidates, rejections = judge(todo, rules)
        existing = await _existing(connection, [candidate.key for candidate in candidates])
        settled = settle(todo, candidates, rejections, existing)
        for candidate, error in await _write_or_isolate(connection, list(settled.latest.values()), existing):
            reject_after_all(settled, candidate, existing)
            rejections.append(Rejection(candidate.batch, candidate.at, _storage_error(error)))
        await _copy_rejections(connection, rejections)
        await _insert_batches(connection, todo, settled.tallies)
    codes = [rejection.verdict.code for rejection in rejections]
    return Persisted("careful", settled.tallies, codes, already=len(done))


def _projects(batches: list[Batch]) -> list[UUID]:
    return sorted({batch.project_id for batch in batches})


def _storage_error(error: asyncpg.PostgresError) -> Invalid:
    return Invalid("storage_error", "", f"the database can't hold it: {error.args[0]}"[:500])


async def _write_or_isolate(
    connection: Connection, candidates: list[Candidate], existing: dict[Key, Existing]
) -> list[tuple[Candidate, asyncpg.PostgresError]]:
    """Write the candidates in place of what exists; those that Postgres refuses come back, each with its error.

    Half by half, each half in a savepoint, until a refused score stands alone.
    """
    if not candidates:
        return []
    try:
        async with connection.transaction():
            await _delete(connection, [candidate.key for candidate in candidates if candidate.key in existing])
            await _copy_scores(connection, candidates, existing)
    except asyncpg.PostgresError as error:
        if not _is_about_values(error):
            raise
        if len(candidates) == 1:
            return [(candidates[0], error)]
    else:
        return []
    middle = len(candidates) // 2
    return [
        *await _write_or_isolate(connection, candidates[:middle], existing),
        *await _write_or_isolate(connection, candidates[middle:], existing),
    ]


async def _revisions(connection: Connection, project_ids: list[UUID]) -> dict[UUID, int]:
    rows = await connection.fetch("SELECT id, config_revision FROM projects WHERE id = ANY($1)", project_ids)
    return {row["id"]: row["config_revision"] for row in rows}


async def _done_batches(connection: Connection, batches: list[Batch]) -> set[tuple[UUID, str]]:
    rows = await connection.fetch(
        """
        SELECT project_id, batch_id
        FROM batches JOIN unnest($1::uuid[], $2::text[]) AS asked (project_id, batch_id) USING (project_id, batch_id)
        """,
        [batch.project_id for batch in batches],
        [batch.batch_id for batch in batches],
    )
    return {(row["project_id"], row["batch_id"]) for row in rows}


async def _existing(connection: Connection, keys: list[Key]) -> dict[Key, Existing]:
    rows = await connection.fetch(
        """
        SELECT project_id, id, version, created_at
        FROM scores JOIN unnest($1::uuid[], $2::text[]) AS asked (project_id, id) USING (project_id, id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(row["project_id"], row["id"]): Existing(row["version"], row["created_at"]) for row in rows}


async def _delete(connection: Connection, keys: list[Key]) -> None:
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


async def _copy_scores(
    connection: Connection, candidates: list[Candidate], existing: dict[Key, Existing] | None = None
) -> None:
    """In the order of the primary key, so that two transactions which insert the same ids can't deadlock."""
    if not candidates:
        return
    candidates.sort(key=lambda candidate: candidate.row[:2])
    columns: Sequence[str] = ROW_COLUMNS
    records = [candidate.row for candidate in candidates]
    if existing:
        now = utc_now()
        columns = (*ROW_COLUMNS, "created_at", "updated_at")
        records = [(*c.row, _created_at(existing.get(c.key), now), now) for c in candidates]
    await connection.copy_records_to_table("scores", records=records, columns=columns)


def _created_at(before: Existing | None, now: datetime) -> datetime:
    return now if before is None else before.created_at


async def _copy_rejections(connection: Connection, rejections: list[Rejection]) -> None:
    if rejections:
        now = utc_now()
        records = [rejection.row(now) for rejection in rejections]
        await connection.copy_records_to_table("rejected_scores", records=records, columns=REJECTION_COLUMNS)


async def _insert_batches(connection: Connection, batches: list[Batch], tallies: dict[str, Tally]) -> None:
    counts = [tallies[batch.batch_id] for batch in batches]
    await connection.execute(
        """
        INSERT INTO batches (project_id, batch_id, received_at, stored, replaced, unchanged, rejected)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::int[], $5::int[], $6::int[], $7::int[])
        """,
        [batch.project_id for batch in batches],
        [batch.batch_id for batch in batches],
        [batch.received_at for batch in batches],
        [tally.stored for tally in counts],
        [tally.replaced for tally in counts],
        [tally.unchanged for tally in counts],
        [tally.rejected for tally in counts],
    )
