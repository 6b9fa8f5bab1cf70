"""Delete rejected scores by filter, a chunk at a time. Their batches' receipts go on counting them."""

import msgspec

from services.worker.jobs.running import Chunk, RunningJob
from shared.conditions import Arguments
from shared.jobs import RejectedJob
from shared.postgres import Connection, affected
from shared.rejected import rejected_conditions

CHUNK_SCORES = 1000


async def delete_rejected_chunk(connection: Connection, job: RunningJob) -> Chunk:
    """Doing it twice deletes nothing the second time."""
    wanted = msgspec.json.decode(job.arguments, type=RejectedJob)
    arguments = Arguments()
    conditions = rejected_conditions(wanted.filters, job.project_id, arguments)
    conditions.append(f"rejected_at <= {arguments.add(wanted.before)}")
    tag = await connection.execute(
        f"""
        DELETE FROM rejected_scores
        WHERE (project_id, batch_id, index) IN (
            SELECT project_id, batch_id, index FROM rejected_scores
            WHERE {" AND ".join(conditions)}
            LIMIT {arguments.add(CHUNK_SCORES)}
        )
        """,  # noqa: S608 - values are arguments
        *arguments.values,
    )
    return Chunk({"deleted": affected(tag)}, is_last=affected(tag) < CHUNK_SCORES)
