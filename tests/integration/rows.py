"""Put scores straight into the table, as the worker's COPY does."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


async def insert(connection: asyncpg.Connection, project_id: UUID, *rows: dict[str, Any]) -> None:
    """One statement for all rows. A row says what matters: id, value (its type decides), name, scored_at, …"""
    records = [_record(project_id, row) for row in rows]
    await connection.copy_records_to_table("scores", records=records, columns=list(_defaults()) + _VALUES)


_VALUES = ["project_id", "data_type", "numeric_value", "categorical_value", "boolean_value"]


def _defaults() -> dict[str, Any]:
    return {
        "id": "s1",
        "version": 1,
        "name": "relevance",
        "trace_id": "t1",
        "source": "SDK",
        "environment": "default",
        "scored_at": NOON,
        "received_at": NOON,
        "metadata": None,
    }


def _record(project_id: UUID, row: dict[str, Any]) -> tuple[Any, ...]:
    value = row.get("value", 0.5)
    typed: tuple[Any, ...] = ("NUMERIC", float(value), None, None) if isinstance(value, int | float) else ()
    if isinstance(value, bool):
        typed = ("BOOLEAN", None, None, value)
    elif isinstance(value, str):
        typed = ("CATEGORICAL", None, value, None)
    fields = _defaults() | {name: field for name, field in row.items() if name != "value"}
    return (*fields.values(), project_id, *typed)
