"""What the api answers, as types: dictionaries as they come, so that new fields never break an old client.

Times are RFC 3339 texts. A number that a statistic can't have is None.
"""

from __future__ import annotations

from typing import Any, TypedDict, Union


class Score(TypedDict, total=False):
    """A stored score."""

    id: str
    project_id: str
    name: str
    data_type: str
    value: Union[bool, float, str]
    trace_id: str | None
    span_id: str | None
    session_id: str | None
    user_id: str | None
    source: str
    author: str | None
    author_id: str | None
    comment: str | None
    metadata: dict[str, Any] | None
    environment: str
    config_id: str | None
    config_version: int | None
    violation: str | None
    scored_at: str
    received_at: str
    created_at: str
    updated_at: str


class Statistics(TypedDict, total=False):
    """Of numbers: avg to p99. Of categories: distribution. Of yes and no: true_count to true_rate."""

    count: int
    avg: float | None
    min: float | None
    max: float | None
    std_dev: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    distribution: dict[str, int] | None
    true_count: int | None
    false_count: int | None
    true_rate: float | None


class Aggregate(Statistics, total=False):
    """Statistics of one name and data type, and of one group if it was grouped."""

    name: str
    data_type: str
    group: dict[str, str | None] | None


class TrendBucket(Statistics, total=False):
    """Statistics of one bucket of time, without percentiles."""

    start: str
    end: str


class TrendSeries(TypedDict):
    """One name's buckets, the empty ones included."""

    name: str
    data_type: str | None
    group: dict[str, str | None] | None
    buckets: list[TrendBucket]


class ScoreConfig(TypedDict, total=False):
    """The rule for a name."""

    id: str
    name: str
    data_type: str
    description: str | None
    min_value: float | None
    max_value: float | None
    categories: list[str] | None
    higher_is_better: bool | None
    enforcement: str
    version: int
    is_archived: bool


class Rejection(TypedDict):
    """One rejected score in a receipt: `index` is its place in the batch."""

    index: int
    id: str | None
    code: str
    detail: str


class Receipt(TypedDict, total=False):
    """What became of a batch. While `status` is pending, the counts are None."""

    batch_id: str
    status: str
    accepted: int
    stored: int | None
    replaced: int | None
    unchanged: int | None
    rejected: int | None
    rejections: list[Rejection]


class RejectedScore(TypedDict, total=False):
    """A score that broke a rule. `original` is the score as it was sent."""

    id: str
    batch_id: str
    index: int
    score_id: str
    name: str | None
    code: str
    pointer: str
    detail: str
    config_id: str | None
    original: dict[str, Any]
    received_at: str
    rejected_at: str
