"""The statistics of scores as a naive fold over exact fractions: what every aggregate has to equal."""

import math
from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

_ENOUGH = Context(prec=60, Emin=-9999, Emax=9999)


def exactly(value: float) -> Fraction:
    """The number that the sender wrote: the shortest decimal that names this double."""
    return Fraction(repr(value))


def root(square: Fraction) -> float:
    ratio = _ENOUGH.divide(Decimal(square.numerator), Decimal(square.denominator))
    return float(_ENOUGH.sqrt(ratio))


def numeric_fold(values: Sequence[float]) -> dict[str, Any]:
    exact = [exactly(value) for value in values]
    mean = sum(exact, Fraction(0)) / len(exact)
    squares = sum(((number - mean) ** 2 for number in exact), Fraction(0))
    std_dev = root(squares / (len(exact) - 1)) if len(exact) > 1 else None
    return {"count": len(exact), "avg": float(mean), "min": min(values), "max": max(values), "std_dev": std_dev}


def fold(values: Sequence[Any]) -> dict[str, Any]:
    """Of the values of one name and data type."""
    if isinstance(values[0], bool):
        true_count = sum(values)
        rate = true_count / len(values)
        return {
            "count": len(values),
            "true_count": true_count,
            "false_count": len(values) - true_count,
            "true_rate": rate,
        }
    if isinstance(values[0], str):
        return {"count": len(values), "distribution": dict(Counter(values))}
    return numeric_fold(values)


def interpolated(values: Sequence[float], rank: float) -> float:
    """The percentile, linearly interpolated."""
    exact = sorted(exactly(value) for value in values)
    place = Fraction(rank) * (len(exact) - 1)
    low = math.floor(place)
    high = min(low + 1, len(exact) - 1)
    return float(exact[low] + (exact[high] - exact[low]) * (place - low))


def is_close(found: Any, expected: Any) -> bool:
    """Counts and extremes are equal, computed numbers within 1e-12 of each other or next to zero."""
    if isinstance(expected, float) and isinstance(found, int | float):
        return math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-320)
    return bool(found == expected)


def difference(item: dict[str, Any], expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """(found, expected) of each statistic that differs."""
    return {name: (item[name], want) for name, want in expected.items() if not is_close(item[name], want)}
