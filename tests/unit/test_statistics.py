"""Cells are folded into the statistics of their data type; what does not belong to it is null."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from services.api.queries.statistics import Cell, finite
from services.api.statistics import Statistics, grouped, percentiles_or_none, statistics_of
from shared.scores import DataType


def a_cell(**fields: Any) -> Cell:
    said: dict[str, Any] = {
        "slot": 0, "name": "n", "data_type": DataType.NUMERIC, "group": (), "label": "", "count": 1, "avg": None,
        "std_dev": None, "min": None, "max": None,
    }  # fmt: skip
    return Cell(**{**said, **fields})


def said_by(statistics: Statistics) -> dict[str, Any]:
    """What is not null."""
    return {name: value for name, value in msgspec.structs.asdict(statistics).items() if value is not None}


def test_numbers_have_mean_extremes_and_deviation() -> None:
    found = statistics_of(DataType.NUMERIC, [a_cell(count=2, avg=0.0, std_dev=0.0, min=0.0, max=0.0)])

    assert said_by(found) == {"count": 2, "avg": 0.0, "std_dev": 0.0, "min": 0.0, "max": 0.0}


def test_the_deviation_of_one_number_is_null() -> None:
    assert said_by(statistics_of(DataType.NUMERIC, [a_cell(avg=3.0, min=3.0, max=3.0)])) == {
        "count": 1, "avg": 3.0, "min": 3.0, "max": 3.0,
    }  # fmt: skip


def test_categories_have_a_distribution_the_most_frequent_first() -> None:
    cells = [a_cell(label=label, count=count) for label, count in (("b", 2), ("z", 9), ("a", 2))]

    found = statistics_of(DataType.CATEGORICAL, cells)

    assert list((found.distribution or {}).items()) == [("z", 9), ("a", 2), ("b", 2)]
    assert set(said_by(found)) == {"count", "distribution"}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"true": 3, "false": 1}, (3, 1, 0.75)), ({"true": 2}, (2, 0, 1.0)), ({"false": 2}, (0, 2, 0.0)),
        ({}, (0, 0, None)),
    ],
)  # fmt: skip
def test_booleans_have_counts_and_a_rate_and_false_is_not_null(counts: dict[str, int], expected: Any) -> None:
    cells = [a_cell(label=label, count=count) for label, count in counts.items()]

    found = statistics_of(DataType.BOOLEAN, cells)

    assert (found.true_count, found.false_count, found.true_rate) == expected


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [(DataType.NUMERIC, {"count": 0}), (DataType.CATEGORICAL, {"count": 0, "distribution": {}}), (None, {"count": 0})],
)
def test_an_empty_bucket_counts_nothing_and_guesses_nothing(data_type: DataType | None, expected: Any) -> None:
    assert said_by(statistics_of(data_type, [])) == expected


def test_series_are_told_apart_by_name_data_type_and_group() -> None:
    keys = [("a", DataType.NUMERIC, ("x",)), ("a", DataType.BOOLEAN, ("x",)), ("a", DataType.NUMERIC, (None,))]
    cells = [a_cell(name=name, data_type=data_type, group=group) for name, data_type, group in keys * 2]

    found = grouped(cells)

    assert list(found) == keys
    assert {len(of_series) for of_series in found.values()} == {2}


def test_no_percentiles_are_null() -> None:
    assert msgspec.structs.astuple(percentiles_or_none(None)) == (None, None, None)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(None, None), (0.0, 0.0), (Decimal(0), 0.0), (Decimal("1e400"), None), (float("inf"), None), (float("nan"), None)],
)
def test_a_number_that_json_can_not_say_is_null_and_zero_is_zero(number: Any, expected: float | None) -> None:
    assert finite(number) == expected
