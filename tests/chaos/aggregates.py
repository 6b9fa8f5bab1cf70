"""Aggregate rows in plain Python, and compare with what the api says."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import isclose
from statistics import fmean, stdev
from typing import Any

Rows = Iterable[dict[str, Any]]
RELATIVE_ERROR = 1e-9


def aggregates_of(rows: Rows) -> dict[tuple[str, str], dict[str, Any]]:
    """By (name, data type), with the names that the api uses. A row has name, data_type and value."""
    values: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        values[row["name"], row["data_type"]].append(row["value"])
    return {key: {"count": len(found), **_statistics(key[1], found)} for key, found in values.items()}


def _statistics(data_type: str, values: list[Any]) -> dict[str, Any]:
    match data_type:
        case "NUMERIC":
            deviation = stdev(values) if len(values) > 1 else None
            return {"avg": fmean(values), "min": min(values), "max": max(values), "std_dev": deviation}
        case "BOOLEAN":
            return {"true_count": sum(values), "false_count": len(values) - sum(values)}
        case _:
            return {"distribution": dict(Counter(values))}


def differences_of_aggregates(rows: Rows, answered: Iterable[dict[str, Any]]) -> Iterator[str]:
    found = {(item["name"], item["data_type"]): item for item in answered}
    true = aggregates_of(rows)
    for key in found.keys() ^ true.keys():
        yield f"the aggregate of {key} is only in {'the rows' if key in true else 'the answer'}"
    for key in found.keys() & true.keys():
        for name, value in true[key].items():
            if not same(found[key][name], value):
                yield f"the aggregate of {key} says {name} {found[key][name]}, the rows say {value}"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=RELATIVE_ERROR, abs_tol=1e-12)
    return bool(one == other)
