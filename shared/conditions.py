"""Filters as SQL conditions: each value is an argument, only column names of our own stand in the text."""

from typing import Any
from uuid import UUID

from shared.filters import ScoreFilters, Span

_LISTED = ("trace_id", "span_id", "session_id", "user_id", "name", "environment", "author", "source", "data_type")
_LISTED_UUIDS = ("config_id", "author_id")


class Arguments:
    """The arguments of one statement; `add` gives the placeholder."""

    def __init__(self, *values: Any) -> None:
        self.values: list[Any] = list(values)

    def add(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def score_conditions(filters: ScoreFilters, project_id: UUID, arguments: Arguments) -> list[str]:
    """What a row of `scores` must fulfil, but for the window (see `span_conditions`)."""
    conditions = [f"project_id = {arguments.add(project_id)}"]
    for column in _LISTED:
        conditions += _one_of(column, getattr(filters, column), "text", arguments)
    for column in _LISTED_UUIDS:
        conditions += _one_of(column, getattr(filters, column), "uuid", arguments)
    for key, texts in filters.metadata.items():
        conditions += _one_of(f"metadata ->> {arguments.add(key)}::text", texts, "text", arguments) or ["false"]
    if filters.value:
        conditions.append(_value_condition(filters.value, arguments))
    if filters.min_value is not None:
        conditions.append(f"numeric_value >= {arguments.add(filters.min_value)}::float8")
    if filters.max_value is not None:
        conditions.append(f"numeric_value <= {arguments.add(filters.max_value)}::float8")
    if filters.received_from is not None:
        conditions.append(f"received_at >= {arguments.add(filters.received_from)}")
    return conditions


def rollup_conditions(filters: ScoreFilters, project_id: UUID, width: str, arguments: Arguments) -> list[str]:
    """What a row of `score_rollups` must fulfil, but for the window."""
    conditions = [f"project_id = {arguments.add(project_id)}", f"width = {arguments.add(width)}"]
    for column in ("name", "source", "data_type", "environment"):
        conditions += _one_of(column, getattr(filters, column), "text", arguments)
    return conditions


def span_conditions(column: str, span: Span, arguments: Arguments) -> list[str]:
    """`start` inclusive, `end` exclusive."""
    return [
        f"{column} {operator} {arguments.add(moment)}"
        for operator, moment in ((">=", span.start), ("<", span.end))
        if moment is not None
    ]


def _one_of(expression: str, values: tuple[Any, ...], kind: str, arguments: Arguments) -> list[str]:
    if not values:
        return []
    if len(values) == 1:  # equality lets an index keep its order
        return [f"{expression} = {arguments.add(values[0])}::{kind}"]
    return [f"{expression} = ANY({arguments.add(list(values))}::{kind}[])"]


def _value_condition(texts: tuple[str, ...], arguments: Arguments) -> str:
    """A text can mean a category, a number or true and false: it matches whichever of them a score has."""
    numbers = [number for text in texts if (number := _number(text)) is not None]
    booleans = [text == "true" for text in texts if text in ("true", "false")]
    return (
        f"(categorical_value = ANY({arguments.add(list(texts))}::text[])"
        f" OR numeric_value = ANY({arguments.add(numbers)}::float8[])"
        f" OR boolean_value = ANY({arguments.add(booleans)}::bool[]))"
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
