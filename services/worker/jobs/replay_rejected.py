"""Judge rejected scores again by the rules in force now: stored, or rejected again with the reason of now.

A replayed score keeps its id, its time and its place among the writes to its id: a newer score under the same id, sent
meanwhile, stays. The receipt of its batch moves with it.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from asyncpg import Record

from services.worker.batch import Batch, batch_of
from services.worker.config_cache import ConfigCache
from services.worker.jobs.rejected_walk import next_rejected
from services.worker.jobs.running import Chunk, RunningJob
from services.worker.judge import Rejection
from services.worker.persist import decide_and_write
from services.worker.settle import Tally
from shared.deletion import lock_scores_alone
from shared.envelope import Envelope, decode_scores
from shared.jobs import RejectedJob
from shared.postgres import Connection
from shared.queue import Entry, place_of_batch

CHUNK_SCORES = 200


async def replay_chunk(connection: Connection, job: RunningJob, cache: ConfigCache) -> Chunk:
    """Running it twice judges twice what was rejected again, and stores nothing twice."""
    wanted = msgspec.json.decode(job.arguments, type=RejectedJob)
    await lock_scores_alone(connection, job.project_id)
    found, place = await next_rejected(connection, job.project_id, wanted, CHUNK_SCORES)
    rows = await _lock_rejected(connection, job, found, wanted.before)
    batches = [_batch_of(row, job, wanted.edited) for row in rows]
    settled, rejections = await decide_and_write(connection, cache, batches)
    await _reject_again(connection, rejections)
    await _forget(connection, batches, rejections)
    await _move_receipts(connection, batches, settled.tallies)
    return Chunk(_sum(list(settled.tallies.values())), is_last=place is None, place=place)


async def _lock_rejected(
    connection: Connection, job: RunningJob, places: Sequence[tuple[str, int]], before: datetime
) -> Sequence[Record]:
    """Those that are still there. What is rejected again gets a new `rejected_at` and is not met a second time by
    this job."""
    found: Sequence[Record] = await connection.fetch(
        """
        SELECT r.batch_id, r.index, r.score_id, r.original, r.request_id, r.received_at
        FROM rejected_scores AS r
        JOIN unnest($2::text[], $3::int[]) AS asked (batch_id, index) USING (batch_id, index)
        WHERE r.project_id = $1 AND r.rejected_at <= $4
        ORDER BY r.rejected_at, r.batch_id, r.index
        FOR UPDATE OF r
        """,
        job.project_id,
        [batch_id for batch_id, _ in places],
        [index for _, index in places],
        before,
    )
    return found


def _batch_of(row: Record, job: RunningJob, edited: str | None) -> Batch:
    """The score as a batch of its own, at the place in the queue where it once was."""
    place = place_of_batch(row["batch_id"])
    assert place is not None
    scores = f"[{edited or row['original']}]".encode()
    envelope = Envelope(
        request_id=row["request_id"],
        project_id=job.project_id,
        received_at=row["received_at"],
        ids=[row["score_id"]],
        indexes=[row["index"]],
        scores=scores,
    )
    [score] = decode_scores(scores)
    if edited is not None and score.timestamp is None:
        score.timestamp = decode_scores(f"[{row['original']}]".encode())[0].timestamp
    return batch_of(Entry(*place, b""), envelope, [score])


async def _reject_again(connection: Connection, rejections: Sequence[Rejection]) -> None:
    await connection.executemany(
        """
        UPDATE rejected_scores
        SET code = $4, pointer = $5, detail = $6, config_id = $7, config_version = $8, original = $9, name = $10,
            rejected_at = now()
        WHERE project_id = $1 AND batch_id = $2 AND index = $3
        """,
        [
            (
                one.batch.project_id, one.batch.batch_id, one.batch.envelope.index_in_request(one.at),
                one.verdict.code, one.verdict.pointer, one.verdict.detail, one.verdict.config_id,
                one.verdict.config_version, one.batch.original(one.at), one.batch.scores[one.at].name,
            )
            for one in rejections
        ],
    )  # fmt: skip


async def _forget(connection: Connection, batches: Sequence[Batch], rejections: Sequence[Rejection]) -> None:
    """Rejected scores that are rejected no more."""
    again = {id(rejection.batch) for rejection in rejections}
    await connection.executemany(
        "DELETE FROM rejected_scores WHERE project_id = $1 AND batch_id = $2 AND index = $3",
        [
            (batch.project_id, batch.batch_id, batch.envelope.index_in_request(0))
            for batch in batches
            if id(batch) not in again
        ],
    )


async def _move_receipts(connection: Connection, batches: Sequence[Batch], tallies: dict[str, Tally]) -> None:
    project_of = {batch.batch_id: batch.project_id for batch in batches}
    await connection.executemany(
        """
        UPDATE batches
        SET stored = stored + $3, replaced = replaced + $4, unchanged = unchanged + $5,
            rejected = rejected - $3 - $4 - $5
        WHERE project_id = $1 AND batch_id = $2
        """,
        [
            (project_of[batch_id], batch_id, tally.stored, tally.replaced, tally.unchanged)
            for batch_id, tally in tallies.items()
        ],
    )


def _sum(tallies: Sequence[Tally]) -> dict[str, int]:
    return {
        "stored": sum(tally.stored for tally in tallies),
        "replaced": sum(tally.replaced for tally in tallies),
        "unchanged": sum(tally.unchanged for tally in tallies),
        "rejected": sum(tally.rejected for tally in tallies),
    }
