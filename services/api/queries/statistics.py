"""Statistics over scores: per (name, data type), per group, per bucket of time; from rollups where they can answer.

Both sources give the same `Cell`s. Rollups hold exact sums, so their mean and deviation are computed in exact decimal
arithmetic and rounded once; rows are folded by Postgres in double precision (Youngs and Cramer, stable), and in exact
arithmetic when doubles overflow.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Record
from msgspec import Struct
from msgspec.structs import replace

from services.api.windows import Piece, Width, cover, cover_by_difference
from shared.conditions import Arguments, rollup_conditions, score_conditions, span_conditions
from shared.errors import BrokenRule
from shared.filters import ScoreFilters
from shared.postgres import Connection, savepoint
from shared.scores import DataType

CELLS_MAX = 200_000
PIECES_APART_MAX = 2

Group = tuple[str | None, ...]


class Cell(Struct, frozen=True):
    """The share of one label of one (name, data type, group) in one bucket of time. `slot` is the bucket's number, 0
    without buckets. `label` is a category, 'true', 'false', or '' for numbers; only numbers have the last four."""

    slot: int
    name: str
    data_type: DataType
    group: Group
    label: str
    count: int
    avg: float | None
    std_dev: float | None
    min: float | None
    max: float | None


async def cells(
    connection: Connection,
    project_id: UUID,
    filters: ScoreFilters,
    group_by: Sequence[str],
    bounds: Sequence[datetime] = (),
) -> list[Cell]:
    """The cells of the window of `filters`, split at `bounds` if there are any. Raises `BrokenRule` for too many."""
    if filters.beyond_rollups() or any(dimension not in ("source", "environment") for dimension in group_by):
        rows = await _rows_as_exact_as_needed(connection, project_id, filters, group_by, bounds)
    else:
        rows = await fetch_parts(connection, *rollup_statement(project_id, filters, group_by, bounds))
    return [_cell(row, len(group_by)) for row in rows]


async def _rows_as_exact_as_needed(
    connection: Connection,
    project_id: UUID,
    filters: ScoreFilters,
    group_by: Sequence[str],
    bounds: Sequence[datetime],
) -> list[Record]:
    """In doubles, which is several times cheaper, unless doubles overflow or lose more than the last digits."""
    try:
        rows = await fetch_parts(connection, *rows_statement(project_id, filters, group_by, bounds))
    except asyncpg.NumericValueOutOfRangeError:
        rows = None
    if rows is None or any(map(_is_imprecise, rows)):
        return await fetch_parts(connection, *rows_statement(project_id, filters, group_by, bounds, exact=True))
    return rows


def _is_imprecise(row: Record) -> bool:
    """Whether a mean near zero of large values, or a small spread of large or tiny ones, has cost digits."""
    if row["variance"] is None or row["min"] == row["max"]:
        return False
    average, variance = abs(row["avg"]), row["variance"]
    greatest = max(abs(row["min"]), abs(row["max"]))
    return bool(average < greatest * 1e-3 or variance < average * average * 1e-8 or variance < 1e-280)


async def fetch_parts(connection: Connection, statement: str, arguments: list[Any]) -> list[Record]:
    async with savepoint(connection):  # an overflow must not end the snapshot
        rows: list[Record] = await connection.fetch(statement, *arguments)
    if len(rows) > CELLS_MAX:
        raise BrokenRule(
            f"The answer has more than {CELLS_MAX} parts: filter or group by less.", code="too_many_groups"
        )
    return rows


def _cell(row: Record, dimensions: int) -> Cell:
    return Cell(
        slot=row["slot"],
        name=row["name"],
        data_type=DataType(row["data_type"]),
        group=tuple(row[f"g{n}"] for n in range(dimensions)),
        label=row["label"],
        count=int(row["count"]),
        avg=finite(row["avg"]),
        std_dev=_root(row["variance"]),
        min=row["min"],
        max=row["max"],
    )


def finite(number: float | Decimal | None) -> float | None:
    """As a float; None where there is none, or none that JSON can say."""
    if number is None:
        return None
    found = float(number)
    return found if math.isfinite(found) else None


def _root(variance: float | Decimal | None) -> float | None:
    if variance is None:
        return None
    # A Decimal's root is taken as a Decimal: the square of a small or large double is no double.
    return finite(variance.sqrt() if isinstance(variance, Decimal) else math.sqrt(variance))


_EXACT = "numeric_value::text::numeric"
_MOMENTS_OF_SUMS = """
    sum(sum) / nullif(sum(count), 0) AS avg,
    (sum(count) * sum(sum_squares) - sum(sum) * sum(sum)) / nullif(sum(count) * (sum(count) - 1), 0) AS variance"""


def rollup_statement(
    project_id: UUID, filters: ScoreFilters, group_by: Sequence[str], bounds: Sequence[datetime]
) -> tuple[str, list[Any]]:
    """From rollups, and from rows only at the ragged ends of the window: costs what its buckets cost."""
    arguments = Arguments()
    parts = [
        _part(of_types, project_id, pieces, arguments)
        for of_types, all_pieces in _covered(filters, bounds)
        for pieces in _together(all_pieces)
    ]
    statement = f"""
        SELECT
            {_slot("at", bounds, arguments)} AS slot, name, data_type, label, {groups_of(group_by, arguments)}
            sum(count) AS count, min(min) AS min, max(max) AS max, {_MOMENTS_OF_SUMS}
        FROM ({" UNION ALL ".join(parts)}) AS parts
        GROUP BY {_group_numbers(group_by)}
        HAVING sum(count) > 0
        LIMIT {CELLS_MAX + 1}
        """  # noqa: S608 - values are arguments, see conditions
    return statement, arguments.values


def _covered(filters: ScoreFilters, bounds: Sequence[datetime]) -> Iterator[tuple[ScoreFilters, tuple[Piece, ...]]]:
    """Which pieces answer which data types. What has no extremes is counted by difference where that is less to read:
    a category has as many rollups of an hour as it has labels."""
    pieces = cover(filters.span, bounds)
    counted = cover_by_difference(filters.span, bounds) if bounds else pieces
    if counted == pieces:
        yield filters, pieces
        return
    chosen = filters.data_type or tuple(DataType)
    for of_pieces, data_types in ((pieces, (DataType.NUMERIC,)), (counted, (DataType.BOOLEAN, DataType.CATEGORICAL))):
        if of_types := tuple(one for one in data_types if one in chosen):
            yield replace(filters, data_type=of_types), of_pieces


def _together(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Those of one width. A few are each by themselves, so that the planner can estimate their rows."""
    by_width: dict[Width | None, list[Piece]] = {}
    for piece in pieces:
        by_width.setdefault(piece.width, []).append(piece)
    for of_width in by_width.values():
        if len(of_width) > PIECES_APART_MAX or any(piece.at for piece in of_width):
            yield of_width
        else:
            yield from ([piece] for piece in of_width)


def _part(filters: ScoreFilters, project_id: UUID, pieces: Sequence[Piece], arguments: Arguments) -> str:
    """What lies in these pieces, of one width: rollups, or without a width rows."""
    width = pieces[0].width
    if width is None:
        column, statement, conditions = "scored_at", _ROWS, score_conditions(filters, project_id, arguments)
    else:
        column, statement, conditions = "bucket", _ROLLUPS, rollup_conditions(filters, project_id, width, arguments)
    if len(pieces) > 1 or pieces[0].at:
        months = rollup_conditions(filters, project_id, Width.MONTH, arguments)
        return _of_each(pieces, column, statement.format(" AND ".join(conditions)), months, arguments)
    return statement.format(" AND ".join(conditions + span_conditions(column, pieces[0].span, arguments)))


def _of_each(pieces: Sequence[Piece], column: str, statement: str, months: Sequence[str], arguments: Arguments) -> str:
    """What the statement finds in each of the pieces, by the index; in none of them where no month has anything."""
    values = [(piece.span.start, piece.span.end, piece.at, piece.sign) for piece in pieces]
    starts, ends, ats, signs = (arguments.add(list(column)) for column in zip(*values, strict=True))
    return f"""
        SELECT
            coalesce(piece.at, one.at) AS at, name, data_type, source, environment, label, piece.sign * count AS count,
            sum, sum_squares, min, max
        FROM unnest({starts}::timestamptz[], {ends}::timestamptz[], {ats}::timestamptz[], {signs}::bigint[])
            AS piece (start, until, at, sign)
        CROSS JOIN LATERAL (
            {statement} AND {column} >= piece.start AND {column} < piece.until
            OFFSET 0  -- else the planner may read all of them and compare each with each piece
        ) AS one
        WHERE EXISTS (SELECT FROM score_rollups WHERE {" AND ".join(months)})
        """  # noqa: S608 - values are arguments


_ROLLUPS = """
    SELECT bucket AS at, name, data_type, source, environment, label, count, sum, sum_squares, min, max
    FROM score_rollups
    WHERE {}
    """
_ROWS = f"""
    SELECT
        scored_at AS at, name, data_type, source, environment,
        coalesce(categorical_value, boolean_value::text, '') AS label, 1 AS count, {_EXACT} AS sum,
        {_EXACT} * {_EXACT} AS sum_squares, numeric_value AS min, numeric_value AS max
    FROM scores
    WHERE {{}}
    """  # noqa: S608 - words of our own


def rows_statement(
    project_id: UUID,
    filters: ScoreFilters,
    group_by: Sequence[str],
    bounds: Sequence[datetime],
    *,
    exact: bool = False,
) -> tuple[str, list[Any]]:
    """From rows alone: costs what its rows cost, and the statement timeout bounds it."""
    arguments = Arguments()
    conditions = score_conditions(filters, project_id, arguments)
    conditions += span_conditions("scored_at", filters.span, arguments)
    moments = "avg(numeric_value) AS avg, var_samp(numeric_value) AS variance"
    if exact:
        moments = f"""
            avg({_EXACT}) AS avg,
            (count(*) * sum({_EXACT} * {_EXACT}) - sum({_EXACT}) * sum({_EXACT}))
                / nullif(count(*) * (count(*) - 1), 0) AS variance"""
    statement = f"""
        SELECT
            {_slot("scored_at", bounds, arguments)} AS slot, name, data_type,
            coalesce(categorical_value, boolean_value::text, '') AS label, {groups_of(group_by, arguments)}
            count(*) AS count, min(numeric_value) AS min, max(numeric_value) AS max, {moments}
        FROM scores
        WHERE {" AND ".join(conditions)}
        GROUP BY {_group_numbers(group_by)}
        LIMIT {CELLS_MAX + 1}
        """  # noqa: S608 - values are arguments, see conditions
    return statement, arguments.values


def _slot(column: str, bounds: Sequence[datetime], arguments: Arguments) -> str:
    """The number of the bucket in which `column` lies, the first is 0."""
    if not bounds:
        return "0"
    return f"(width_bucket({column}, {arguments.add(list(bounds))}::timestamptz[]) - 1)"


def groups_of(group_by: Sequence[str], arguments: Arguments) -> str:
    return "".join(f"{group_expression(dimension, arguments)} AS g{n}, " for n, dimension in enumerate(group_by))


def group_expression(dimension: str, arguments: Arguments) -> str:
    """A column of our own, or the text of one key of the metadata."""
    if dimension.startswith("metadata."):
        return f"metadata ->> {arguments.add(dimension.removeprefix('metadata.'))}::text"
    return dimension


def _group_numbers(group_by: Sequence[str]) -> str:
    return ", ".join(str(n) for n in range(1, 5 + len(group_by)))
