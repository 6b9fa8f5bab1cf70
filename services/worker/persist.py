"""One transaction for some batches: scores, rejected scores, receipts; the rollups follow by trigger (SPEC 7, 9).

The straight way supposes that every id is new, which is nearly always so, and copies straight into the table. When the
database contradicts (an id or a batch is there already, a value it can't hold), nothing has happened yet, and the
careful way does the same work with the projects to itself: it looks up what exists, replaces what is older, leaves what
is newer, and isolates what Postgres refuses.

Running either twice is harmless: a batch that is in `batches` is done and is passed over.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg
from msgspec import Struct

from services.worker.batch import Batch
from services.worker.config_cache import ConfigCache
from services.worker.judge import Candidate, Key, Rejection, judge
from services.worker.settle import Existing, Settled, Tally, settle
from services.worker.writes import (
    copy_rejections,
    copy_scores,
    done_batches,
    existing_scores,
    insert_batches,
    project_states,
    remove_replaced,
    tombstones,
)
from shared.postgres import Connection, Pool
from shared.validation import Invalid

# SQLSTATE classes that say a value itself is at fault: data exception, integrity constraint, a limit of the program.
_VALUE_CLASSES = ("22", "23", "54")


class Persisted(Struct, frozen=True):
    """What one transaction did. `already` counts the batches that an earlier transaction had written."""

    way: Literal["straight", "careful"]
    tallies: dict[str, Tally]
    rejection_codes: list[str]
    commit_seconds: float
    already: int = 0


async def persist(pool: Pool, cache: ConfigCache, batches: Sequence[Batch]) -> Persisted:
    """Everything of `batches` is in the database when this returns. Raises what Postgres raises when it is away or
    busy: then nothing is."""
    try:
        return await _straight(pool, cache, batches)
    except asyncpg.PostgresError as error:
        if not _is_about_values(error):
            raise
    return await _careful(pool, cache, batches)


def _is_about_values(error: asyncpg.PostgresError) -> bool:
    return (error.sqlstate or "")[:2] in _VALUE_CLASSES


async def _straight(pool: Pool, cache: ConfigCache, batches: Sequence[Batch]) -> Persisted:
    async with _transaction(pool) as (connection, commit):
        await connection.execute("SELECT lock_scores_shared($1)", _projects(batches))
        judged = await _judge(connection, cache, batches)
        settled = settle(batches, judged.candidates, judged.rejections, {}, judged.deleted)
        await insert_batches(connection, batches, settled.tallies)
        await copy_rejections(connection, judged.rejections)
        await copy_scores(connection, list(settled.latest.values()), existing={})
    codes = [rejection.verdict.code for rejection in judged.rejections]
    return Persisted("straight", settled.tallies, codes, commit.seconds)


async def _careful(pool: Pool, cache: ConfigCache, batches: Sequence[Batch]) -> Persisted:
    async with _transaction(pool) as (connection, commit):
        await connection.execute("SELECT lock_scores_alone($1)", _projects(batches))
        done = await done_batches(connection, batches)
        todo = [batch for batch in batches if (batch.project_id, batch.batch_id) not in done]
        settled, rejections = await decide_and_write(connection, cache, todo)
        await copy_rejections(connection, rejections)
        await insert_batches(connection, todo, settled.tallies, twins=True)
    codes = [rejection.verdict.code for rejection in rejections]
    return Persisted("careful", settled.tallies, codes, commit.seconds, already=len(done))


class _Commit:
    """How long the commit of a transaction took, once it is over."""

    seconds = 0.0


@asynccontextmanager
async def _transaction(pool: Pool) -> AsyncIterator[tuple[Connection, _Commit]]:
    commit = _Commit()
    async with pool.acquire() as connection:
        async with connection.transaction():
            yield connection, commit
            written_at = time.perf_counter()
        commit.seconds = time.perf_counter() - written_at


async def decide_and_write(
    connection: Connection, cache: ConfigCache, batches: Sequence[Batch]
) -> tuple[Settled, list[Rejection]]:
    """Write the scores of `batches` that are to be stored, in a transaction that has the projects to itself.

    Returns what became of all of them, and the rejections, which are still to be kept.
    """
    judged = await _judge(connection, cache, batches)
    candidates, rejections = judged.candidates, list(judged.rejections)
    existing = await existing_scores(connection, [candidate.key for candidate in candidates])
    written: set[Key] = set()
    while True:
        settled = settle(batches, candidates, rejections, existing, judged.deleted)
        unwritten = [candidate for key, candidate in settled.latest.items() if key not in written]
        refused = await _write_or_isolate(connection, unwritten, existing)
        if not refused:
            return settled, rejections
        # What Postgres refuses is as if it had never been a candidate: an earlier score of its id has its turn.
        rejections += [Rejection(one.batch, one.at, _storage_error(error)) for one, error in refused]
        gone = {id(one) for one, _ in refused}
        candidates = [one for one in candidates if id(one) not in gone]
        written.update({one.key for one in unwritten} - {one.key for one, _ in refused})


class _Judged(NamedTuple):
    candidates: list[Candidate]
    rejections: list[Rejection]
    deleted: dict[Key, int]


async def _judge(connection: Connection, cache: ConfigCache, batches: Sequence[Batch]) -> _Judged:
    """By the rules in force now, with the deletes that were made so far."""
    states = await project_states(connection, _projects(batches))
    rules = await cache.rules_of(connection, {project: state.config_revision for project, state in states.items()})
    candidates, rejections = judge(batches, rules)
    return _Judged(candidates, rejections, await tombstones(connection, (one.key for one in candidates), states))


def _projects(batches: Sequence[Batch]) -> list[UUID]:
    return sorted({batch.project_id for batch in batches})


def _storage_error(error: asyncpg.PostgresError) -> Invalid:
    return Invalid("storage_error", "", f"the database can't hold it: {error.args[0]}"[:500])


async def _write_or_isolate(
    connection: Connection, candidates: list[Candidate], existing: Mapping[Key, Existing]
) -> list[tuple[Candidate, asyncpg.PostgresError]]:
    """Write the candidates in place of what exists; those that Postgres refuses come back, each with its error.

    Half by half, each half in a savepoint, until a refused score stands alone.
    """
    if not candidates:
        return []
    try:
        async with connection.transaction():
            await remove_replaced(connection, [candidate.key for candidate in candidates if candidate.key in existing])
            await copy_scores(connection, candidates, existing)
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
