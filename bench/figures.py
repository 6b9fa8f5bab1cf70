"""What a part brings home: figures, each with its runs, beside its limit from the same runs, and its goal. Pure."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct


class Goal(Struct, frozen=True):
    """`share`: at least this share of the limit; `at_most`: at most this share. `below`, `above`: less or more than
    this, in the figure's unit."""

    kind: Literal["share", "at_most", "below", "above"]
    value: float

    def __str__(self) -> str:
        match self.kind:
            case "share":
                return f"≥ {self.value:.0%}"
            case "at_most":
                return f"≤ {self.value:.0%}"
            case "below":
                return f"< {self.value:g}"
        return f"> {self.value:g}"


class Limit(Struct, frozen=True):
    """What a figure stands beside; `runs[i]` was measured next to the figure's own run i."""

    name: str
    runs: list[float]


class Figure(Struct, frozen=True, kw_only=True):
    """One row of a table. `headline` is the line of the specification's numbers for which it stands, if any."""

    part: str
    name: str
    unit: str
    runs: list[float]
    limit: Limit | None = None
    goal: Goal | None = None
    headline: str | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def shares(self) -> list[float]:
        """The figure as a share of its limit, run by run: what both suffered from in one run cancels out."""
        return (
            [] if self.limit is None else [own / limit for own, limit in zip(self.runs, self.limit.runs, strict=True)]
        )

    @property
    def is_met(self) -> bool | None:
        if self.goal is None:
            return None
        match self.goal.kind:
            case "below":
                return self.median < self.goal.value
            case "above":
                return self.median > self.goal.value
            case "at_most":
                return statistics.median(self.shares) <= self.goal.value
        return statistics.median(self.shares) >= self.goal.value


HEAD = "| what | median (min – max) | beside | share (min – max) | goal | met |\n|---|---|---|---|---|---|"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed; of none, 0."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)] if ordered else 0.0


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = [HEAD]
    part = ""
    for figure in figures:
        if figure.part != part:
            part = figure.part
            lines.append(f"| **{part}** | | | | | |")
        lines.append(f"| {' | '.join(_cells(figure))} |")
    return "\n".join(lines)


def goal_rows(figures: Sequence[Figure]) -> dict[str, str]:
    """The figures that stand for a line of the specification, by that line, each as a row of a Markdown table."""
    return {
        figure.headline: f"| {' | '.join([figure.headline, *_cells(figure)[1:]])} |"
        for figure in figures
        if figure.headline is not None
    }


def _cells(figure: Figure) -> list[str]:
    limit = figure.limit
    beside = "" if limit is None else f"{limit.name}: {_number(statistics.median(limit.runs))}"
    met = {None: "", True: "yes", False: "**no**"}[figure.is_met]
    goal = "" if figure.goal is None else str(figure.goal)
    return [figure.name, f"{_spread(figure.runs)} {figure.unit}".strip(), beside, _shares(figure.shares), goal, met]


def _spread(runs: list[float]) -> str:
    middle = _number(statistics.median(runs))
    return middle if len(runs) == 1 else f"{middle} ({_number(min(runs))} – {_number(max(runs))})"


def _shares(shares: list[float]) -> str:
    if not shares:
        return ""
    return f"{statistics.median(shares):.0%} ({min(shares):.0%} – {max(shares):.0%})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
