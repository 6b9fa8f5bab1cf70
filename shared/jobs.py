"""Background jobs as api and worker agree on them: kinds, states, and what each kind is told. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, field

from shared.filters import VALUES_PER_FILTER_MAX, ScoreFilters, Span, Text, Texts, check_span

QUEUE_NAME = "assay:jobs"
RUN_JOB = "run_job"
IDS_MAX = 10_000


class JobKind(StrEnum):
    DELETE_SCORES = "delete_scores"
    REPLAY_REJECTED = "replay_rejected"
    DELETE_REJECTED = "delete_rejected"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED)


class RejectedFilters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which rejected scores are meant. `id` is `{batch_id}.{index}`; `from` and `to` are about `rejected_at`."""

    id: Annotated[tuple[Text, ...], Meta(max_length=VALUES_PER_FILTER_MAX)] = ()
    code: Texts = ()
    name: Texts = ()
    batch_id: Texts = ()
    start: Annotated[datetime, Meta(tz=True)] | None = field(name="from", default=None)
    end: Annotated[datetime, Meta(tz=True)] | None = field(name="to", default=None)

    def __post_init__(self) -> None:
        check_span(Span(self.start, self.end))


class DeletePlace(Struct, frozen=True, omit_defaults=True):
    """How far a delete by filter is in its walk: after which (`scored_at`, `id`) of which lane (None: at its begin),
    and since when it walks."""

    began_at: datetime
    lane: int = 0
    after: tuple[datetime, str] | None = None


class DeleteScores(Struct, frozen=True, kw_only=True):
    """Delete the scores of these ids, or those that `filters` mean: what was received up to `version`.

    `place` is the worker's: where the next chunk goes on.
    """

    ids: tuple[str, ...] = ()
    filters: ScoreFilters | None = None
    version: int
    place: DeletePlace | None = None


class RejectedPlace(Struct, frozen=True):
    """The last rejected score that the job has been at: the next chunk goes on after it."""

    rejected_at: datetime
    batch_id: str
    index: int


class RejectedJob(Struct, frozen=True, kw_only=True):
    """Replay or delete the rejected scores that `filters` mean and that were rejected before `before`.

    `edited` is the JSON of a whole score to replay in place of the one that was sent. `place` is the worker's: where
    the next chunk goes on.
    """

    filters: RejectedFilters
    before: datetime
    edited: str | None = None
    place: RejectedPlace | None = None


class Job(Struct, frozen=True, kw_only=True):
    """How a job stands. `counts` says what became of its scores so far, `total` how many it was about when it was made
    (null: too many to count)."""

    id: UUID
    kind: JobKind
    state: JobState
    total: int | None
    counts: dict[str, int]
    detail: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
