"""`GET /v1/scores/aggregate`, `/histogram` and `/trends`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from services.api.context import context_of, query_of
from services.api.params import (
    FILTER_PARAMETERS,
    GROUP_BY_MAX,
    days_before,
    granularity,
    group_by,
    numbers,
    score_filters,
    zone,
)
from services.api.queries.distributions import Extent, counts_between, extent, percentiles
from services.api.queries.statistics import Cell, cells
from services.api.statistics import Aggregate, Statistics, grouped, percentiles_or_none, statistics_of
from services.api.windows import Granularity, bucket_bounds
from shared.clock import utc_now
from shared.errors import BrokenRule, Malformed
from shared.filters import ScoreFilters
from shared.http.endpoint import Endpoint, Parameter
from shared.http.responses import json_response
from shared.keys import Grant, Scope
from shared.scores import DataType

DAYS_DEFAULT, DAYS_MAX = 30, 400
BINS_DEFAULT, BINS_MAX = 20, 1000
NAMES_MAX = 50
TREND_POINTS_MAX = 100_000


class Aggregates(Struct):
    """Ordered by count, greatest first."""

    items: Sequence[Aggregate]


class Bin(Struct):
    """Values from `lower` (inclusive) to `upper` (exclusive; inclusive in the last bin)."""

    lower: float
    upper: float
    count: int


class Histogram(Struct):
    """`below` and `above` count what lies outside of edges that were given; they are 0 for equal bins."""

    name: str
    count: int
    below: int
    above: int
    bins: Sequence[Bin]


class TrendBucket(Statistics, kw_only=True):
    """A calendar bucket of the trend's time zone: `start` inclusive, `end` exclusive."""

    start: datetime
    end: datetime


class Series(Struct, kw_only=True):
    """The trend of one (name, data type), or of one group of it. `data_type` is null for a name without scores."""

    name: str
    data_type: DataType | None
    group: dict[str, str | None] | None
    buckets: Sequence[TrendBucket]


class Trends(Struct, kw_only=True):
    """Scores from `from` (inclusive) to `to` (exclusive) in calendar buckets; empty buckets are there with count 0."""

    start: datetime = msgspec.field(name="from")
    end: datetime = msgspec.field(name="to")
    granularity: Granularity
    timezone: str
    items: Sequence[Series]


async def aggregate(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    filters, dimensions = score_filters(query), group_by(query)
    with_percentiles = query.flag("percentiles", default=True)
    query.done()
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    async with context.reading(grant.project_id) as connection:
        found = await cells(connection, grant.project_id, filters, dimensions)
        ranks = await percentiles(connection, grant.project_id, filters, dimensions) if with_percentiles else {}
    items = []
    for (name, data_type, group), of_series in grouped(found).items():
        numeric_ranks = ranks.get((name, group)) if data_type is DataType.NUMERIC else None
        items.append(
            Aggregate(
                name=name,
                data_type=data_type,
                group=dict(zip(dimensions, group, strict=True)) if dimensions else None,
                **msgspec.structs.asdict(statistics_of(data_type, of_series)),
                **msgspec.structs.asdict(percentiles_or_none(numeric_ranks)),
            )
        )
    items.sort(key=lambda item: (-item.count, item.name, item.data_type, str(item.group)))
    return json_response(Aggregates(items), headers=headers)


async def histogram(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    filters = score_filters(query)
    bins = query.whole_number("bins", 1, BINS_MAX, BINS_DEFAULT)
    edges = numbers(query, "edges", BINS_MAX + 1)
    query.done()
    if len(filters.name) != 1:
        raise Malformed("A histogram is of one name.", code="invalid_parameter", pointer="name")
    if len(edges) == 1:
        raise Malformed("edges takes at least two numbers.", code="invalid_parameter", pointer="edges")
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    async with context.reading(grant.project_id) as connection:
        if not edges:
            edges = _equal_edges(await extent(connection, grant.project_id, filters), bins)
        counts = await counts_between(connection, grant.project_id, filters, edges) if edges else [0, 0]
    return json_response(_histogram(filters.name[0], edges, counts), headers=headers)


def _equal_edges(found: Extent, bins: int) -> tuple[float, ...]:
    """The edges of `bins` equal bins from the least to the greatest value; one bin where all values are the same."""
    if found.min is None or found.max is None:
        return ()
    low, high = found.min, found.max
    edges = [low]
    for n in range(1, bins):
        # Weighted, because the distance of two doubles can be more than a double holds.
        edge = low * (1 - n / bins) + high * (n / bins)
        if edges[-1] < edge < high:  # rounding can make neighbours of two edges that lie close together one
            edges.append(edge)
    return (*edges, high) if low < high else (low,)


def _histogram(name: str, edges: Sequence[float], counts: Sequence[int]) -> Histogram:
    if len(edges) == 1:  # one value, and so one bin from it to itself
        return Histogram(name, sum(counts), 0, 0, [Bin(edges[0], edges[0], sum(counts))])
    bins = [Bin(low, high, count) for (low, high), count in zip(pairwise(edges), counts[1:], strict=False)]
    return Histogram(name, sum(counts), counts[0], counts[-1] if edges else 0, bins)


async def trends(request: Request, grant: Grant) -> Response:
    query = query_of(request)
    filters, dimensions, tz, step = score_filters(query), group_by(query, 1), zone(query), granularity(query)
    days = query.whole_number("days", 1, DAYS_MAX, 0)
    query.done()
    if not 1 <= len(filters.name) <= NAMES_MAX:
        raise Malformed(f"A trend is of 1 to {NAMES_MAX} names.", code="invalid_parameter", pointer="name")
    if days and filters.start is not None:
        raise Malformed("days and from exclude each other.", code="invalid_parameter", pointer="days")
    end = filters.end or utc_now()
    start = filters.start or days_before(end - timedelta(microseconds=1), days or DAYS_DEFAULT, tz)
    if start >= end:
        raise Malformed(
            "from must be before to, which is now if it is left out.", code="invalid_parameter", pointer="from"
        )
    bounds = _bounds(start, end, step, tz)
    try:
        filters = msgspec.structs.replace(filters, start=start, end=end)
    except ValueError as error:
        raise Malformed(f"The window begins too early: {error}.", code="invalid_parameter", pointer="days") from error
    context = context_of(request)
    headers = context.complete_through.headers(grant.project_id)
    async with context.reading(grant.project_id) as connection:
        found = await cells(connection, grant.project_id, filters, dimensions, bounds)
    answer = Trends(
        start=start.astimezone(tz),
        end=end.astimezone(tz),
        granularity=step,
        timezone=tz.key,
        items=_series(filters, dimensions, bounds, found),
    )
    return json_response(answer, headers=headers)


def _bounds(start: datetime, end: datetime, step: Granularity, tz: ZoneInfo) -> list[datetime]:
    try:
        return bucket_bounds(start, end, step, tz)
    except ValueError as error:
        raise BrokenRule(f"The window has {error}.", code="too_many_buckets") from error


def _series(
    filters: ScoreFilters, dimensions: Sequence[str], bounds: Sequence[datetime], found: Sequence[Cell]
) -> list[Series]:
    by_series = grouped(found)
    if max(len(by_series), len(filters.name)) * (len(bounds) - 1) > TREND_POINTS_MAX:
        raise BrokenRule(f"The answer has more than {TREND_POINTS_MAX} buckets.", code="too_many_buckets")
    series = [
        Series(
            name=name,
            data_type=data_type,
            group=dict(zip(dimensions, group, strict=True)) if dimensions else None,
            buckets=_buckets(data_type, bounds, of_series),
        )
        for (name, data_type, group), of_series in by_series.items()
    ]
    missing = set(filters.name) - {one.name for one in series}
    series += [Series(name=name, data_type=None, group=None, buckets=_buckets(None, bounds, ())) for name in missing]
    return sorted(series, key=lambda one: (one.name, one.data_type or "", str(one.group)))


def _buckets(data_type: DataType | None, bounds: Sequence[datetime], found: Sequence[Cell]) -> list[TrendBucket]:
    by_slot: dict[int, list[Cell]] = {}
    for cell in found:
        by_slot.setdefault(cell.slot, []).append(cell)
    return [
        TrendBucket(start=start, end=end, **msgspec.structs.asdict(statistics_of(data_type, by_slot.get(slot, ()))))
        for slot, (start, end) in enumerate(pairwise(bounds))
    ]


_GROUP_BY = "source, environment, author or metadata.<key>"
_PROBLEMS = (400, 401, 403, 422, 503)

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/scores/aggregate",
        handler=aggregate,
        needs=Scope.SCORES_READ,
        tag="Statistics",
        summary="Statistics per name and data type",
        description="Exact, never sampled. Windows of time, names, sources, data types and environments are answered "
        "from rollups; other filters, other groups and percentiles from the rows.",
        query=(
            *FILTER_PARAMETERS,
            Parameter("group_by", str, f"Up to {GROUP_BY_MAX} of {_GROUP_BY}.", repeatable=True),
            Parameter("percentiles", bool, "false leaves p50, p90 and p99 out, which is much cheaper."),
        ),
        answers={200: Aggregates},
        problems=_PROBLEMS,
    ),
    Endpoint(
        method="GET",
        path="/v1/scores/histogram",
        handler=histogram,
        needs=Scope.SCORES_READ,
        tag="Statistics",
        summary="How the numeric values of one name are spread",
        query=(
            *FILTER_PARAMETERS,
            Parameter("bins", Annotated[int, Meta(ge=1, le=BINS_MAX)], "How many equal bins."),
            Parameter("edges", str, "Or the edges of the bins, ascending, by comma."),
        ),
        answers={200: Histogram},
        problems=_PROBLEMS,
    ),
    Endpoint(
        method="GET",
        path="/v1/scores/trends",
        handler=trends,
        needs=Scope.SCORES_READ,
        tag="Statistics",
        summary="Statistics per bucket of time",
        description="Calendar buckets of any IANA time zone. Without `from`, the last `days` days, today included.",
        query=(
            *FILTER_PARAMETERS,
            Parameter("days", Annotated[int, Meta(ge=1, le=DAYS_MAX)], "How many days, if `from` is not given."),
            Parameter("granularity", Granularity, "hour, day (default), week or month."),
            Parameter("timezone", str, "An IANA name such as Asia/Kolkata; default UTC."),
            Parameter("group_by", str, f"One of {_GROUP_BY}."),
        ),
        answers={200: Trends},
        problems=_PROBLEMS,
    ),
)
