"""Jobs by filter read what they look through once, however many chunks they take and however little is meant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.api.writes.jobs import make_job
from services.worker.config_cache import ConfigCache
from services.worker.jobs.delete_rejected import delete_rejected_chunk
from services.worker.jobs.delete_scores import delete_chunk
from services.worker.jobs.housekeeping import Retained, apply_retention
from services.worker.jobs.replay_rejected import replay_chunk
from services.worker.jobs.running import Work, run_chunk
from services.worker.jobs.verify_rollups import verify_rollups
from services.worker.metrics import WorkerMetrics
from shared.clock import utc_now
from shared.filters import ScoreFilters
from shared.jobs import DeleteScores, JobKind, RejectedFilters, RejectedJob
from shared.postgres import Pool, open_pool
from shared.queue import version_of
from tests.logins import WORKER_LOGIN, as_login
from tests.stack import Stack

SCORES = 40_000
RECEIVED = 1_700_000_000_000  # when, in milliseconds
VERSION = version_of(0, f"{RECEIVED}-0")

# Categories, for of these the rollups have no extremes that would have to be read again: what is read is the job's.
# A third was made nine days before the rest: where a project keeps what is as old as a day between, no hour of the day
# moves one score over.
_FILL = """
INSERT INTO scores (project_id, id, version, name, data_type, categorical_value, trace_id, source, author, environment,
    scored_at, received_at)
SELECT $1, 's' || n, $2, 'name' || n % 4, 'CATEGORICAL', 'yes', 't' || n / 1000, 'SDK', 'rater' || n % 5, 'default',
    '2025-06-01Z'::timestamptz - n % 3 / 2 * interval '9 days' - n % 997 * interval '1 minute', now()
FROM generate_series(0, $3 - 1) AS n
"""
_FILL_REJECTED = """
INSERT INTO rejected_scores (project_id, batch_id, index, score_id, name, code, pointer, detail, original, request_id,
    received_at, rejected_at)
SELECT $1, '1-' || n / 10 || '-0', n % 10, 'r' || n, 'name' || n % 4, 'above_maximum', '', '',
    '{"name": "new", "value": 1, "trace_id": "t"}', '', now(),
    '2025-06-01Z'::timestamptz - n % 3 / 2 * interval '9 days' - n % 997 * interval '1 minute'
FROM generate_series(0, 19999) AS n
"""


class Lab:
    """Runs jobs over one connection, and knows how many rows of a table it has read."""

    def __init__(self, stack: Stack, pool: Pool) -> None:
        self.stack, self.pool = stack, pool
        cache = ConfigCache(WorkerMetrics())
        self._work_of: dict[JobKind, Work] = {
            JobKind.DELETE_SCORES: delete_chunk,
            JobKind.DELETE_REJECTED: delete_rejected_chunk,
            JobKind.REPLAY_REJECTED: lambda connection, job: replay_chunk(connection, job, cache),
        }

    async def make(self, kind: JobKind, arguments: Any) -> UUID:
        async with self.stack.connection() as connection:
            return (await make_job(connection, self.stack.project.id, kind, arguments, None)).id

    async def delete(self, **filters: Any) -> UUID:
        wanted = DeleteScores(filters=ScoreFilters(**filters), version=VERSION)
        return await self.make(JobKind.DELETE_SCORES, wanted)

    async def run(self, job_id: UUID, chunks: int | None = None) -> dict[str, int]:
        """To its end, or so many chunks. Returns its counts."""
        done = 0
        while done != chunks and not (await run_chunk(self.pool, self._work_of, job_id)).state.is_final:
            done += 1
        [row] = await self.stack.fetch("SELECT state, counts FROM jobs WHERE id = $1", job_id)
        assert row["state"] != "failed"
        counts: dict[str, int] = msgspec.json.decode(row["counts"])
        return counts

    async def rows_read(self, table: str) -> int:
        await self.pool.execute("SELECT pg_stat_force_next_flush()")
        await self.pool.execute("SELECT 1")
        [row] = await self.stack.fetch(
            "SELECT (seq_tup_read + idx_tup_fetch)::int AS read FROM pg_stat_user_tables WHERE relname = $1", table
        )
        return int(row["read"])

    async def left(self, condition: str) -> int:
        [row] = await self.stack.fetch(f"SELECT count(*) AS count FROM scores WHERE {condition}")
        return int(row["count"])


@asynccontextmanager
async def one_connection(stack: Stack) -> AsyncIterator[Pool]:
    url = as_login(stack.database_url, WORKER_LOGIN)
    pool = await open_pool(url, size_max=1, statement_timeout_ms=60_000, name="test", plans="force_custom_plan")
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    await stack.fetch(_FILL, stack.project.id, VERSION, SCORES)
    await stack.fetch(_FILL_REJECTED, stack.project.id)
    await stack.fetch("VACUUM ANALYZE")
    async with one_connection(stack) as pool:
        yield Lab(stack, pool)


async def test_a_filter_without_an_index_reads_the_project_once(lab: Lab) -> None:
    before = await lab.rows_read("scores")

    counts = await lab.run(await lab.delete(author=("rater3",)))

    assert await lab.rows_read("scores") - before <= SCORES + 2 * SCORES // 5
    assert counts == {"deleted": SCORES // 5}
    assert await lab.left("author = 'rater3'") == 0
    assert await lab.left("true") == SCORES * 4 // 5
    assert await verify_rollups(lab.pool) == []


@pytest.mark.parametrize(
    ("filters", "condition"),
    [
        ({"name": ("name1", "name3")}, "name IN ('name1', 'name3')"),
        (
            {"trace_id": tuple(f"t{n}" for n in range(20))},
            "trace_id IN (SELECT 't' || n FROM generate_series(0, 19) n)",
        ),
    ],
)
async def test_a_filter_with_an_index_reads_what_it_deletes(lab: Lab, filters: Any, condition: str) -> None:
    before = await lab.rows_read("scores")

    counts = await lab.run(await lab.delete(**filters))

    assert await lab.rows_read("scores") - before <= 3 * SCORES // 2
    assert counts == {"deleted": SCORES // 2}
    assert await lab.left(condition) == 0


async def test_a_filter_that_means_nothing_reads_the_project_once_in_chunks(lab: Lab) -> None:
    before = await lab.rows_read("scores")
    job = await lab.delete(author=("nobody",))

    await lab.run(job, chunks=1)
    read = await lab.rows_read("scores") - before
    await lab.run(job)

    assert read <= 10_001
    assert await lab.rows_read("scores") - before <= SCORES + 100


async def test_a_job_whose_runner_died_goes_on_where_it_stopped(lab: Lab) -> None:
    job = await lab.delete(author=("rater3",))
    await lab.run(job, chunks=6)
    before = await lab.rows_read("scores")

    async with one_connection(lab.stack) as pool:
        counts = await Lab(lab.stack, pool).run(job)

    assert counts == {"deleted": SCORES // 5}
    assert await lab.rows_read("scores") - before < SCORES // 2


async def test_what_was_still_queued_is_found_behind_the_walk_and_what_came_later_stays(lab: Lab) -> None:
    job = await lab.delete(author=("rater3",))
    await lab.run(job, chunks=2)
    for score_id, milliseconds in (("queued", RECEIVED), ("later", RECEIVED + 1)):
        await lab.stack.fetch(
            """
            WITH stored AS (
                INSERT INTO scores (project_id, id, version, name, data_type, numeric_value, trace_id, source, author,
                    environment, scored_at, received_at)
                VALUES ($1, $2, $3, 'name1', 'NUMERIC', 1, 't1', 'SDK', 'rater3', 'default', '2020-01-01Z', now())
            )
            INSERT INTO batches (project_id, batch_id, received_at, stored, replaced, unchanged, rejected)
            VALUES ($1, $4, now(), 1, 0, 0, 0)
            """,
            lab.stack.project.id,
            score_id,
            version_of(0, f"{milliseconds}-0"),
            f"{milliseconds}-0-0",
        )

    counts = await lab.run(job)

    assert counts == {"deleted": SCORES // 5 + 1}
    assert [row["id"] for row in await lab.stack.fetch("SELECT id FROM scores WHERE author = 'rater3'")] == ["later"]


async def test_a_job_of_an_older_release_has_no_place_and_begins_at_the_begin(lab: Lab) -> None:
    job = await lab.delete(author=("rater3",))
    await lab.stack.fetch("UPDATE jobs SET arguments = arguments - 'place' WHERE id = $1 RETURNING 1", job)

    assert await lab.run(job) == {"deleted": SCORES // 5}


async def test_rejected_scores_are_deleted_by_reading_them_once(lab: Lab) -> None:
    before = await lab.rows_read("rejected_scores")
    wanted = RejectedJob(filters=RejectedFilters(name=("name1",)), before=utc_now())

    counts = await lab.run(await lab.make(JobKind.DELETE_REJECTED, wanted))

    assert counts == {"deleted": 5000}
    assert await lab.rows_read("rejected_scores") - before <= 20_000 + 3 * 5000


async def test_rejected_scores_are_replayed_by_reading_them_once(lab: Lab) -> None:
    before = await lab.rows_read("rejected_scores")
    wanted = RejectedJob(filters=RejectedFilters(name=("name1",)), before=utc_now())

    counts = await lab.run(await lab.make(JobKind.REPLAY_REJECTED, wanted))

    assert counts == {"stored": 5000, "replaced": 0, "unchanged": 0, "rejected": 0}
    assert await lab.rows_read("rejected_scores") - before <= 20_000 + 4 * 5000


async def test_retention_reads_what_it_deletes(lab: Lab) -> None:
    await lab.stack.fetch(
        "UPDATE projects SET retention_days = extract(day FROM now() - '2025-05-27Z')::int RETURNING 1"
    )
    old, old_rejected = SCORES // 3, 20_000 // 3
    before = await lab.rows_read("scores"), await lab.rows_read("rejected_scores")

    retained = await apply_retention(lab.pool)

    assert retained == Retained(scores=old, rejected_scores=old_rejected)
    assert await lab.rows_read("scores") - before[0] <= 3 * old
    assert await lab.rows_read("rejected_scores") - before[1] <= 2 * old_rejected
    assert await apply_retention(lab.pool) == Retained()
