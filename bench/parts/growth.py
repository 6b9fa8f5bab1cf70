"""The same figures on 0.1, 1 and 10 million rows: reads by the api, and how fast the whole way takes in more (SPEC 13).

Each size has a database, a queue and services of its own, all of them up at once, so that the sizes take turns with
every single figure. Raw GROUP BY over the same rows, in the same rounds, is the limit of what the rollups answer; bare
COPY of the same rows into the same table, without its triggers, that of the intake.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import NamedTuple

import asyncpg
import httpx

from bench.bare_copy import copy_into, stored_records
from bench.chart import Line, Panel, draw
from bench.figures import Figure, Goal, Limit, percentile
from bench.filling import fill
from bench.incoming import new_scores, scattered_scores
from bench.load import closed_load
from bench.parts.end_to_end import CONNECTIONS, Whole, until_readable, whole
from bench.plan import SCORES, Plan, in_turn
from bench.reading import Read, reads, seconds_of
from bench.rows import bodies
from bench.wire import post_requests

PART = "growth"
SIZES = (100_000, 1_000_000, 10_000_000)
ROUNDS_MAX = 3
FLAT = 1.5  # a tenfold table may cost half as much again, and is called flat
GAIN = 100

AGGREGATE, TREND = "aggregate of all names, all time, without percentiles", "trend of the commonest name, 90 days"


class Intake(NamedTuple):
    """A kind of scores to send on top of what is there."""

    name: str
    make: Callable[[int, int, int], list[bytes]]
    scores: int


INTAKES = (
    Intake("new scores taken in and readable", new_scores, 60_000),
    Intake("scores scattered over all that is there, taken in and readable", scattered_scores, 20_000),
)


class Table(NamedTuple):
    """One size with its services, and what was measured there, by name, round by round."""

    rows: int
    assay: Whole
    client: httpx.Client
    reads: list[Read]
    runs: dict[str, list[float]]
    raw_runs: dict[str, list[float]]


async def measure(plan: Plan) -> list[Figure]:
    """Figures of each size, and how those of the largest compare with those of the one before."""
    rounds = min(plan.rounds, ROUNDS_MAX)
    async with AsyncExitStack() as stack:
        sizes = [size for size in SIZES if size <= plan.growth_rows] or [SIZES[0]]
        tables = [await stack.enter_async_context(_table(plan, number, rows)) for number, rows in enumerate(sizes, 1)]
        for table in tables:
            for read in table.reads:
                seconds_of(table.client, read, seed=0, count=max(3, read.count // 10))  # warm-up
        for number in range(rounds):
            for at in range(len(tables[0].reads)):
                for table in in_turn(tables, number):
                    await _read_once(table, table.reads[at], number)
        for number in range(rounds):
            for intake in INTAKES:
                for table in in_turn(tables, number):
                    since = await table.assay.connection.fetchval("SELECT now()")
                    table.runs.setdefault(intake.name, []).append(await _taken_in(table, intake, number))
                    table.raw_runs.setdefault(intake.name, []).append(await _copied_again(table, since))
    _draw(tables)
    return [figure for table in tables for figure in _figures(table)] + _flatness(tables)


@asynccontextmanager
async def _table(plan: Plan, number: int, rows: int) -> AsyncIterator[Table]:
    wing = await plan.house.wing(number)
    async with whole(plan, wing) as assay:
        await fill(wing, rows)
        headers = {"Authorization": f"Bearer {wing.credentials.api_key}"}
        with httpx.Client(base_url=assay.api.url, headers=headers, trust_env=False, timeout=60) as client:
            yield Table(rows, assay, client, reads(rows), {}, {})


async def _read_once(table: Table, read: Read, number: int) -> None:
    """The median of one round, in ms, and what PostgreSQL takes for the same from the rows."""
    seconds = seconds_of(table.client, read, number + 1, read.count)
    table.runs.setdefault(read.name, []).append(percentile(seconds, 0.5) * 1000)
    if read.rollup_beside is not None:
        table.raw_runs.setdefault(read.name, []).append(await _raw_ms(table.assay, read.rollup_beside))


async def _raw_ms(assay: Whole, statement: str) -> float:
    started = time.perf_counter()
    await assay.connection.fetch(statement, assay.house.credentials.project_id)
    return (time.perf_counter() - started) * 1000


async def _taken_in(table: Table, intake: Intake, number: int) -> float:
    """Scores a second, the whole way, on top of what is there."""
    assay = table.assay
    sent = intake.make(table.rows, intake.scores, number)
    requests = post_requests(SCORES, assay.house.credentials.api_key, bodies(sent, 100))
    already = await _stored(assay.connection)
    started = time.perf_counter()
    outcome = await closed_load(assay.ingest.address, iter(requests), connections=CONNECTIONS)
    if not outcome.is_clean:
        raise RuntimeError(f"ingest answered {dict(outcome.statuses)}, {outcome.lost} lost")
    await until_readable(assay.connection, already + len(sent))
    return len(sent) / (time.perf_counter() - started)


async def _copied_again(table: Table, since: datetime) -> float:
    """Rows a second, as one connection's bare COPY, of what has come since then; it is taken out of the table before.
    Afterwards all is as it was, the rollups too, which hear of neither."""
    connection = await asyncpg.connect(table.assay.house.database_url)
    records = await stored_records(connection, since)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("DELETE FROM scores WHERE received_at >= $1", since)
    seconds = await copy_into("scores", connection, records, len(records))
    await connection.close()
    return len(records) / seconds


async def _stored(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT coalesce(sum(stored), 0) FROM batches"))


def _figures(table: Table) -> list[Figure]:
    figures: list[Figure] = []
    for read in table.reads:
        runs = table.runs[read.name]
        headline = _headline(table, read.name, "p50") if read.goal else None
        figures.append(_figure(table, f"{read.name}: p50", "ms", runs, read.goal, headline))
        if read.rollup_beside is not None:
            figures.append(_gain(table, read.name))
    return figures + [_intake_figure(table, intake.name) for intake in INTAKES]


def _intake_figure(table: Table, name: str) -> Figure:
    beside = Limit("bare COPY of the same", table.raw_runs[name])
    part = f"{_million(table.rows)} rows"
    return Figure(part=part, name=name, unit="scores/s", runs=table.runs[name], limit=beside)


def _gain(table: Table, name: str) -> Figure:
    raw = table.raw_runs[name]
    return _figure(
        table,
        f"{name}: how often it fits into a raw GROUP BY of {percentile(raw, 0.5):,.0f} ms",
        "×",
        [raw_ms / own_ms for raw_ms, own_ms in zip(raw, table.runs[name], strict=True)],
        Goal("above", GAIN) if table.rows == SIZES[-1] else None,
        _headline(table, name, "how often it fits into a raw GROUP BY"),
    )


def _figure(
    table: Table, name: str, unit: str, runs: list[float], goal: Goal | None = None, headline: str | None = None
) -> Figure:
    part = f"{_million(table.rows)} rows"
    return Figure(part=part, name=name, unit=unit, runs=runs, goal=goal, headline=headline)


_SHORT_NAMES = {AGGREGATE: "aggregate of all, without percentiles", TREND: "90-day trend"} | {
    name: name for name in ("list, a page at any depth", "by trace")
}


def _headline(table: Table, name: str, what: str) -> str | None:
    """Of the largest size only, and only what the specification names."""
    if table.rows != SIZES[-1] or name not in _SHORT_NAMES:
        return None
    return f"{_SHORT_NAMES[name]}, {_million(table.rows)} rows: {what}"


def _flatness(tables: Sequence[Table]) -> list[Figure]:
    """What rollups and indexes answer must take about as long on the largest table as on the one before."""
    if len(tables) < 2:
        return []
    before, largest = tables[-2:]
    return [
        Figure(
            part=PART,
            name=f"{read.name}: the same on {_million(largest.rows)} rows",
            unit="ms",
            runs=largest.runs[read.name],
            limit=Limit(f"on {_million(before.rows)} rows", before.runs[read.name]),
            goal=Goal("at_most", FLAT),
            headline=_headline(largest, read.name, f"flat from {_million(before.rows)}"),
        )
        for read in largest.reads
        if read.goal is not None
    ] + [
        Figure(
            part=PART,
            name=f"{intake.name}: the same on {_million(largest.rows)} rows",
            unit="scores/s",
            runs=largest.runs[intake.name],
            limit=Limit(f"on {_million(before.rows)} rows", before.runs[intake.name]),
        )
        for intake in INTAKES
    ]


def _draw(tables: Sequence[Table]) -> None:
    if len(tables) < len(SIZES):
        return
    limits = [("statistics: 15 ms", 15.0), ("pages: 5 ms", 5.0)]
    read = [_line(tables, read.name) for read in tables[0].reads]
    taken = [_line(tables, intake.name) for intake in INTAKES]
    panels = [
        Panel(title="Reads, p50", up="ms", lines=read, limits=limits),
        Panel(title="Intake, the whole way", up="scores a second", lines=taken),
    ]
    draw("growth", "stored scores", panels)


def _line(tables: Sequence[Table], name: str) -> Line:
    return Line(name, [table.rows for table in tables], [percentile(table.runs[name], 0.5) for table in tables])


def _million(rows: int) -> str:
    return f"{rows / 1_000_000:g} million"
