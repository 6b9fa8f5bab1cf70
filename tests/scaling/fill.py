"""Fill the queue with a backlog, as ingest would have: envelopes of 100 scores, of many projects, in all shards."""

import itertools
from datetime import UTC, datetime
from uuid import UUID

from redis import Redis

from bench.rows import read_rows
from shared.envelope import Envelope, encode
from shared.ids import uuid7s
from shared.queue import FIELD, batch_id_of, key_of, stream_of

BATCH_SIZE = 100
DIFFERENT_SCORES = 20_000
AT_ONCE = 200


def fill(redis_url: str, projects: list[UUID], scores: int, shards: int) -> dict[str, list[str]]:
    """The ids of the scores, by batch. The scores are those of the bench; each has an id of its own."""
    rows = read_rows(DIFFERENT_SCORES).scores
    bodies = [b"[" + b",".join(rows[at : at + BATCH_SIZE]) + b"]" for at in range(0, len(rows), BATCH_SIZE)]
    entries = zip(itertools.cycle(bodies), itertools.cycle(projects), range(scores // BATCH_SIZE), strict=False)
    filled: dict[str, list[str]] = {}
    with Redis.from_url(redis_url) as redis:
        while portion := list(itertools.islice(entries, AT_ONCE)):
            pipeline, queued = redis.pipeline(transaction=False), []
            for body, project_id, _ in portion:
                envelope, stream = _envelope(body, project_id), stream_of(project_id, shards)
                queued.append((stream, envelope.ids))
                pipeline.xadd(key_of(stream), {FIELD: encode(envelope)})
            for (stream, ids), entry_id in zip(queued, pipeline.execute(), strict=True):
                filled[batch_id_of(stream, entry_id.decode())] = ids
    return filled


def _envelope(scores: bytes, project_id: UUID) -> Envelope:
    return Envelope(
        request_id="backlog",
        project_id=project_id,
        received_at=datetime.now(UTC),
        ids=uuid7s(BATCH_SIZE),
        scores=scores,
    )
