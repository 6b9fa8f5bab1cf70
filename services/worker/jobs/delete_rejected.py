"""Delete rejected scores by filter, a chunk at a time. Their batches' receipts go on counting them."""

import msgspec

from services.worker.jobs.rejected_walk import next_rejected
from services.worker.jobs.running import Chunk, RunningJob
from shared.jobs import RejectedJob
from shared.postgres import Connection, affected

CHUNK_SCORES = 1000


async def delete_rejected_chunk(connection: Connection, job: RunningJob) -> Chunk:
    """Doing it twice deletes nothing the second time. What a replay rejects again meanwhile stays: it has a new
    `rejected_at`, beyond that of the job."""
    wanted = msgspec.json.decode(job.arguments, type=RejectedJob)
    found, place = await next_rejected(connection, job.project_id, wanted, CHUNK_SCORES)
    tag = await connection.execute(
        """
        DELETE FROM rejected_scores
        USING unnest($2::text[], $3::int[]) AS gone (batch_id, index)
        WHERE project_id = $1 AND rejected_scores.batch_id = gone.batch_id AND rejected_scores.index = gone.index
            AND rejected_at <= $4
        """,
        job.project_id,
        [batch_id for batch_id, _ in found],
        [index for _, index in found],
        wanted.before,
    )
    return Chunk({"deleted": affected(tag)}, is_last=place is None, place=place)
