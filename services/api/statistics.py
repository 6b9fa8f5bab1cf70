"""Fold cells into the statistics that aggregate and trends answer (SPEC 8). Pure."""

from collections.abc import Iterable

from msgspec import Struct

from services.api.queries.distributions import Percentiles
from services.api.queries.statistics import Cell
from shared.scores import DataType


class Statistics(Struct, kw_only=True):
    """Of one data type: what does not belong to it is null, and so is what too few scores leave undefined.

    NUMERIC: avg, min, max, std_dev (the sample one, null below two scores). CATEGORICAL: distribution.
    BOOLEAN: true_count, false_count, true_rate.
    """

    count: int
    avg: float | None = None
    min: float | None = None
    max: float | None = None
    std_dev: float | None = None
    distribution: dict[str, int] | None = None
    true_count: int | None = None
    false_count: int | None = None
    true_rate: float | None = None


class Aggregate(Statistics, kw_only=True):
    """The statistics of one (name, data type), or of one group of it. Percentiles are interpolated linearly."""

    name: str
    data_type: DataType
    group: dict[str, str | None] | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


def statistics_of(data_type: DataType | None, cells: Iterable[Cell]) -> Statistics:
    """Of the cells of one bucket: one for each label that occurs. No cells: an empty bucket."""
    found = list(cells)
    count = sum(cell.count for cell in found)
    match data_type:
        case DataType.NUMERIC if found:
            cell = found[0]  # numbers have one label
            return Statistics(count=count, avg=cell.avg, min=cell.min, max=cell.max, std_dev=cell.std_dev)
        case DataType.CATEGORICAL:
            ordered = sorted(found, key=lambda cell: (-cell.count, cell.label))
            return Statistics(count=count, distribution={cell.label: cell.count for cell in ordered})
        case DataType.BOOLEAN:
            true_count = sum(cell.count for cell in found if cell.label == "true")
            rate = true_count / count if count else None
            return Statistics(count=count, true_count=true_count, false_count=count - true_count, true_rate=rate)
        case _:
            return Statistics(count=count)


def grouped(cells: Iterable[Cell]) -> dict[tuple[str, DataType, tuple[str | None, ...]], list[Cell]]:
    """By (name, data type, group)."""
    by_series: dict[tuple[str, DataType, tuple[str | None, ...]], list[Cell]] = {}
    for cell in cells:
        by_series.setdefault((cell.name, cell.data_type, cell.group), []).append(cell)
    return by_series


def percentiles_or_none(found: Percentiles | None) -> Percentiles:
    return found or Percentiles(None, None, None)
