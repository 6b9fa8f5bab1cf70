"""Measure what statements read: each one that runs is run once more before, under EXPLAIN ANALYZE, and rolled back."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

TIMES_MAX = 4  # so often one statement is measured
_NOT_TWICE = re.compile(r"pg_advisory|lock_scores|pg_terminate_backend")
_KINDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
# Read by whatever reads, also by triggers: EXPLAIN does not look into them. An index-only scan is not counted here.
_READ_SO_FAR = "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int FROM pg_stat_xact_user_tables"


@dataclass
class Reading:
    """How many rows a statement read, and how many it returned or changed."""

    statement: str
    read: int
    out: int
    plan: str

    def __str__(self) -> str:
        return f"{self.read} rows read for {self.out}: {self.statement}\n{self.plan}"


@dataclass
class Readings:
    """What `caught` statements read, by their text with its blanks made one."""

    of: dict[str, list[Reading]] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        self.of.setdefault(reading.statement, []).append(reading)

    def wants(self, statement: str) -> bool:
        return len(self.of.get(statement, ())) < TIMES_MAX


def in_one_line(statement: str) -> str:
    return " ".join(statement.split())


def catch_statements(monkeypatch: pytest.MonkeyPatch, readings: Readings) -> None:
    """From now on, until the patch is undone."""
    for name in ("fetch", "fetchrow", "fetchval", "execute", "executemany"):
        monkeypatch.setattr(asyncpg.Connection, name, _caught(getattr(asyncpg.Connection, name), readings))
    copy = asyncpg.Connection.copy_records_to_table

    async def caught_copy(self: asyncpg.Connection, table: str, *, records: Any, **options: Any) -> Any:
        before = await _plain(self, _READ_SO_FAR)
        result = await copy(self, table, records=records, **options)
        read = await _plain(self, _READ_SO_FAR) - before
        readings.add(Reading(f"COPY {table}", read, len(records), ""))
        return result

    monkeypatch.setattr(asyncpg.Connection, "copy_records_to_table", caught_copy)


async def _plain(connection: asyncpg.Connection, statement: str, *arguments: Any) -> Any:
    """By a way that is not caught."""
    prepared = await connection.prepare(statement)
    return await prepared.fetchval(*arguments)


def _caught(call: Callable[..., Any], readings: Readings) -> Callable[..., Any]:
    async def caught(self: asyncpg.Connection, query: str, *arguments: Any, **options: Any) -> Any:
        statement = in_one_line(query)
        if statement.startswith(_KINDS) and not _NOT_TWICE.search(statement) and readings.wants(statement):
            given = next(iter(arguments[0]), None) if call.__name__ == "executemany" else arguments
            if given is not None:
                await _measure(self, statement, given, readings)
        return await call(self, query, *arguments, **options)

    return caught


async def _measure(connection: asyncpg.Connection, statement: str, arguments: Any, readings: Readings) -> None:
    try:
        async with _undone(connection):
            before = await _plain(connection, _READ_SO_FAR)
            [plan] = json.loads(
                await _plain(connection, f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", *arguments)
            )
            read = await _plain(connection, _READ_SO_FAR) - before
    except asyncpg.PostgresError:  # the caller meets it too
        readings.add(Reading(statement, 0, 0, "refused"))
        return
    top = plan["Plan"]
    out = max([int(top["Actual Rows"]), *(_rows(child) for node in _nodes(top) for child in _changed(node))])
    scanned = sum(_scanned(node) for node in _nodes(top))
    readings.add(Reading(statement, max(read, scanned), out, json.dumps(top)))


@asynccontextmanager
async def _undone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    is_inside = connection.is_in_transaction()
    await connection.execute("SAVEPOINT measured" if is_inside else "BEGIN")
    try:
        yield
    finally:
        await connection.execute("ROLLBACK TO SAVEPOINT measured" if is_inside else "ROLLBACK")


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(one for child in node.get("Plans", ()) for one in _nodes(child))]


def _changed(node: dict[str, Any]) -> list[dict[str, Any]]:
    """What gives a ModifyTable its rows."""
    if node["Node Type"] != "ModifyTable":
        return []
    return [child for child in node["Plans"] if child["Parent Relationship"] == "Outer"]


def _rows(node: dict[str, Any]) -> int:
    return int(node["Actual Rows"] * node["Actual Loops"])


def _scanned(node: dict[str, Any]) -> int:
    """Rows of a table that the node read. A bitmap's rows are counted where the table is read."""
    if "Relation Name" not in node or node["Node Type"] == "ModifyTable":
        return 0
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])
