"""Judge the scores of a batch by the rules of its project: each becomes a row to store or a rejection to keep. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import UNSET

from services.worker.batch import Batch, Place
from shared.configs import Rules, Valid
from shared.scores import DataType, QueuedScore, data_type_of
from shared.validation import Invalid, validate

# The order of a row's values. A plain tuple, because there is one for every score that comes in.
ROW_COLUMNS = (
    "project_id", "id", "version", "name", "data_type", "numeric_value", "categorical_value", "boolean_value",
    "trace_id", "span_id", "session_id", "user_id", "source", "author", "comment", "metadata", "environment",
    "config_id", "config_version", "violation", "scored_at", "received_at", "batch_index",
)  # fmt: skip
Row = tuple[Any, ...]
# Project and id. The project is text: a UUID hashes, compares and encodes in Python code, at every score.
Key = tuple[str, str]

UNKNOWN_PROJECT = Invalid("unknown_project", "", "the project no longer exists")


class Candidate(NamedTuple):
    """A row that may be stored, and which score of which batch it is."""

    key: Key
    row: Row
    batch: Batch
    at: int

    @property
    def place(self) -> Place:
        return self.batch.place_of(self.at)


class Rejection(NamedTuple):
    batch: Batch
    at: int
    verdict: Invalid

    def row(self) -> Row:
        envelope = self.batch.envelope
        return (
            envelope.project_id, self.batch.batch_id, envelope.index_in_request(self.at), envelope.ids[self.at],
            self.batch.scores[self.at].name, self.verdict.code, self.verdict.pointer, self.verdict.detail,
            self.verdict.config_id, self.verdict.config_version, self.batch.original(self.at), envelope.request_id,
            envelope.received_at,
        )  # fmt: skip


REJECTION_COLUMNS = (
    "project_id", "batch_id", "index", "score_id", "name", "code", "pointer", "detail", "config_id", "config_version",
    "original", "request_id", "received_at",
)  # fmt: skip


def judge(batches: Sequence[Batch], rules_of: Mapping[UUID, Rules]) -> tuple[list[Candidate], list[Rejection]]:
    """In the order in which the scores were received. A project that is not in `rules_of` does not exist any more."""
    candidates: list[Candidate] = []
    rejections: list[Rejection] = []
    for batch in sorted(batches, key=lambda batch: batch.place_of(0)):
        rules = rules_of.get(batch.project_id)
        project = str(batch.project_id)
        for at, score in enumerate(batch.scores):
            data_type = data_type_of(score.value)
            verdict = UNKNOWN_PROJECT if rules is None else validate(score, data_type, rules)
            if isinstance(verdict, Valid):
                row = _row(project, batch, at, score, data_type, verdict)
                candidates.append(Candidate((project, batch.envelope.ids[at]), row, batch, at))
            else:
                rejections.append(Rejection(batch, at, verdict))
    return candidates, rejections


def _row(project: str, batch: Batch, at: int, score: QueuedScore, data_type: DataType, verdict: Valid) -> Row:
    envelope = batch.envelope
    number = category = flag = None
    if data_type is _NUMERIC:
        number = score.value
    elif data_type is _CATEGORICAL:
        category = score.value
    else:
        flag = score.value
    return (
        project, envelope.ids[at], batch.version, verdict.name, data_type, number, category, flag,
        score.trace_id, score.span_id, score.session_id, score.user_id, score.source, score.author,
        score.comment, _metadata(score), score.environment, verdict.config_id, verdict.config_version,
        verdict.violation, score.timestamp or envelope.received_at, envelope.received_at,
        envelope.index_in_request(at),
    )  # fmt: skip


_NUMERIC, _CATEGORICAL = DataType.NUMERIC, DataType.CATEGORICAL


def _metadata(score: QueuedScore) -> str | None:
    """The JSON text as it was sent: Postgres parses it, nobody else has to."""
    if score.metadata is UNSET:
        return None
    text = bytes(score.metadata).decode()
    return None if text == "null" else text
