"""Scores as rows: lists by time, one by its id, those of a trace or of a span."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from asyncpg import Record
from msgspec import Raw, Struct

from shared.conditions import Arguments, score_conditions, span_conditions
from shared.filters import ScoreFilters
from shared.postgres import Connection
from shared.scores import DataType, Source

Order = Literal["asc", "desc"]

# Qualified, because a trace's scores are read together with their configs.
COLUMNS = ", ".join(
    f"scores.{column}"
    for column in (
        "id", "project_id", "name", "data_type", "numeric_value", "categorical_value", "boolean_value", "trace_id",
        "span_id", "session_id", "user_id", "source", "author", "author_id", "comment", "metadata", "environment",
        "config_id", "config_version", "violation", "scored_at", "received_at", "created_at", "updated_at",
    )
)  # fmt: skip


class ScoreItem(Struct, kw_only=True):
    """A stored score. `value` is the one of the three typed values that fits `data_type`."""

    id: str
    project_id: UUID
    name: str
    data_type: DataType
    value: bool | float | str
    numeric_value: float | None
    categorical_value: str | None
    boolean_value: bool | None
    trace_id: str | None
    span_id: str | None
    session_id: str | None
    user_id: str | None
    source: Source
    author: str | None
    author_id: UUID | None
    comment: str | None
    metadata: Raw | dict[str, Any] | None
    environment: str
    config_id: UUID | None
    config_version: int | None
    violation: str | None
    scored_at: datetime
    received_at: datetime
    created_at: datetime
    updated_at: datetime


class Position(Struct, frozen=True, array_like=True):
    """Where a page ended: a score's time (microseconds since 1970, which JSON keeps exactly) and its id."""

    scored_at_us: int
    id: str


class RejectedAs(Struct, frozen=True):
    """Why a score that was sent is not among the stored ones."""

    code: str
    detail: str


async def list_scores(
    connection: Connection, project_id: UUID, filters: ScoreFilters, *, order: Order, after: Position | None, limit: int
) -> list[ScoreItem]:
    """At most `limit` scores in the order of (`scored_at`, `id`), those beyond `after` if it is given."""
    statement, arguments = list_statement(project_id, filters, order=order, after=after, limit=limit)
    return [score_of(row) for row in await connection.fetch(statement, *arguments)]


def list_statement(
    project_id: UUID, filters: ScoreFilters, *, order: Order, after: Position | None, limit: int
) -> tuple[str, list[Any]]:
    arguments = Arguments()
    conditions = score_conditions(filters, project_id, arguments)
    conditions += span_conditions("scored_at", filters.span, arguments)
    if after is not None:
        operator = "<" if order == "desc" else ">"
        moment = f"('epoch'::timestamptz + {arguments.add(after.scored_at_us)}::bigint * interval '1 microsecond')"
        conditions.append(f"(scored_at, scores.id) {operator} ({moment}, {arguments.add(after.id)})")
    statement = f"""
        SELECT {COLUMNS}
        FROM scores
        WHERE {" AND ".join(conditions)}
        ORDER BY scored_at {order}, scores.id {order}
        LIMIT {arguments.add(limit)}
        """  # noqa: S608 - values are arguments, see conditions
    return statement, arguments.values


async def get_score(connection: Connection, project_id: UUID, score_id: str) -> ScoreItem | None:
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM scores WHERE project_id = $1 AND id = $2",  # noqa: S608 - a constant
        project_id,
        score_id,
    )
    return None if row is None else score_of(row)


async def get_rejection(connection: Connection, project_id: UUID, score_id: str) -> RejectedAs | None:
    """Why the latest score of that id was rejected, or None; None too when the id was deleted after that."""
    row = await connection.fetchrow(
        """
        SELECT code, detail
        FROM rejected_scores
        WHERE project_id = $1 AND score_id = $2 AND rejected_at > coalesce(
            (SELECT deleted_at FROM score_tombstones WHERE project_id = $1 AND id = $2), '-infinity'
        )
        ORDER BY rejected_at DESC
        LIMIT 1
        """,
        project_id,
        score_id,
    )
    return None if row is None else RejectedAs(row["code"], row["detail"])


class ScoreRule(Struct, kw_only=True):
    """The config that judged a score, as far as a reader of the score needs it."""

    id: UUID
    name: str
    version: int
    data_type: DataType
    min_value: float | None
    max_value: float | None
    categories: list[str] | None
    higher_is_better: bool | None


class TraceScore(ScoreItem, kw_only=True):
    """A score of a trace or of one of its spans, with the config that judged it."""

    config: ScoreRule | None


_WITH_CONFIG = f"""
    SELECT {COLUMNS},
        c.version AS c_version, c.data_type AS c_data_type, c.min_value AS c_min_value, c.max_value AS c_max_value,
        c.categories AS c_categories, c.higher_is_better AS c_higher_is_better
    FROM scores
    LEFT JOIN score_config_versions AS c
        ON c.config_id = scores.config_id AND c.version = scores.config_version
    """  # noqa: S608 - constants

# A trace's scores are those that name it; a span's score names its trace as soon as that is known (SPEC 3).
TRACE_STATEMENT = f"""
    {_WITH_CONFIG}
    WHERE scores.project_id = $1 AND scores.trace_id = $2
    ORDER BY scored_at DESC, scores.id DESC
    LIMIT $3
    """

SPAN_STATEMENT = f"""
    {_WITH_CONFIG}
    WHERE scores.project_id = $1 AND scores.span_id = $2 AND (scores.trace_id = $3 OR scores.trace_id IS NULL)
    ORDER BY scored_at DESC, scores.id DESC
    LIMIT $4
    """

TRACES_STATEMENT = f"""
    SELECT found.*
    FROM unnest($2::text[]) AS asked (trace_id)
    CROSS JOIN LATERAL (
        {_WITH_CONFIG}
        WHERE scores.project_id = $1 AND scores.trace_id = asked.trace_id
        ORDER BY scored_at DESC, scores.id DESC
        LIMIT $3
    ) AS found
    """  # noqa: S608 - constants


async def scores_of_trace(connection: Connection, project_id: UUID, trace_id: str, limit: int) -> list[TraceScore]:
    """The newest `limit` scores of the trace and its spans."""
    return [_trace_score(row) for row in await connection.fetch(TRACE_STATEMENT, project_id, trace_id, limit)]


async def scores_of_span(
    connection: Connection, project_id: UUID, trace_id: str, span_id: str, limit: int
) -> list[TraceScore]:
    rows = await connection.fetch(SPAN_STATEMENT, project_id, span_id, trace_id, limit)
    return [_trace_score(row) for row in rows]


async def scores_of_traces(
    connection: Connection, project_id: UUID, trace_ids: Sequence[str], limit_per_trace: int
) -> dict[str, list[TraceScore]]:
    """The newest `limit_per_trace` scores of each trace; a trace without scores has an empty list."""
    found: dict[str, list[TraceScore]] = {trace_id: [] for trace_id in trace_ids}
    for row in await connection.fetch(TRACES_STATEMENT, project_id, list(found), limit_per_trace):
        found[row["trace_id"]].append(_trace_score(row))
    return found


def _fields_of(row: Record) -> dict[str, Any]:
    fields = {name: value for name, value in row.items() if not name.startswith("c_")}
    fields["data_type"] = DataType(row["data_type"])
    fields["source"] = Source(row["source"])
    fields["value"] = _value_of(row)
    fields["metadata"] = None if row["metadata"] is None else Raw(row["metadata"].encode())
    return fields


def _value_of(row: Record) -> bool | float | str:
    value: bool | float | str
    match row["data_type"]:
        case DataType.NUMERIC:
            value = row["numeric_value"]
        case DataType.CATEGORICAL:
            value = row["categorical_value"]
        case _:
            value = row["boolean_value"]
    return value


def score_of(row: Record) -> ScoreItem:
    return ScoreItem(**_fields_of(row))


def _trace_score(row: Record) -> TraceScore:
    config = None
    if row["c_version"] is not None:
        config = ScoreRule(
            id=row["config_id"],
            name=row["name"],
            version=row["c_version"],
            data_type=DataType(row["c_data_type"]),
            min_value=row["c_min_value"],
            max_value=row["c_max_value"],
            categories=row["c_categories"],
            higher_is_better=row["c_higher_is_better"],
        )
    return TraceScore(**_fields_of(row), config=config)


async def count_scores(
    connection: Connection, project_id: UUID, filters: ScoreFilters, ids: Sequence[str], version: int
) -> int:
    """How many scores the filters mean, among `ids` if there are any, that were received up to `version`."""
    arguments = Arguments()
    conditions = score_conditions(filters, project_id, arguments)
    conditions += span_conditions("scored_at", filters.span, arguments)
    conditions.append(f"version <= {arguments.add(version)}")
    if ids:
        conditions.append(f"id = ANY({arguments.add(list(ids))}::text[])")
    count: int = await connection.fetchval(
        f"SELECT count(*) FROM scores WHERE {' AND '.join(conditions)}",  # noqa: S608 - values are arguments
        *arguments.values,
    )
    return count
