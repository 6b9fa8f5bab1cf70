"""Charts of the bench as PNG files beside bench/README.md."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from msgspec import Struct

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

FOLDER = Path(__file__).parent / "charts"


class Line(Struct, frozen=True):
    name: str
    across: Sequence[float]
    up: Sequence[float]


class Panel(Struct, frozen=True, kw_only=True):
    """One picture of a chart; `limits` are level lines with a name."""

    title: str
    up: str
    lines: Sequence[Line]
    limits: Sequence[tuple[str, float]] = ()


def draw(file: str, across: str, panels: Sequence[Panel]) -> Path:
    """Write bench/charts/<file>.png: the panels below each other, all axes logarithmic."""
    heights = [max(3.0, 0.35 * len(panel.lines)) for panel in panels]
    figure, rows = pyplot.subplots(
        len(panels),
        figsize=(11, 0.6 + sum(heights)),
        height_ratios=heights,
        layout="constrained",
        sharex=True,
        squeeze=False,
    )
    for panel, [axes] in zip(panels, rows, strict=True):
        _fill(axes, panel)
    rows[-1][0].set_xlabel(across)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{file}.png"
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
    return path


def _fill(axes: Axes, panel: Panel) -> None:
    for number, line in enumerate(panel.lines):
        axes.plot(line.across, line.up, marker="osv"[number // 10 % 3], label=line.name)
    for name, height in panel.limits:
        axes.axhline(height, linestyle="--", linewidth=1, color="grey")
        axes.annotate(name, (0.01, height), xycoords=("axes fraction", "data"), va="bottom", color="grey")
    axes.set(title=panel.title, ylabel=panel.up, xscale="log", yscale="log")
    axes.grid(which="both", alpha=0.2)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
