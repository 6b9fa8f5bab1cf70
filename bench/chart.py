"""Charts of the bench as PNG files beside bench/README.md."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from msgspec import Struct

matplotlib.use("Agg")
from matplotlib import pyplot

FOLDER = Path(__file__).parent / "charts"


class Line(Struct, frozen=True):
    name: str
    across: Sequence[float]
    up: Sequence[float]


def draw(
    file: str, *, title: str, across: str, up: str, lines: Sequence[Line], limits: Sequence[tuple[str, float]] = ()
) -> Path:
    """Write bench/charts/<file>.png, both axes logarithmic; `limits` are level lines with a name."""
    figure, axes = pyplot.subplots(figsize=(10, 6), layout="constrained")
    for number, line in enumerate(lines):
        axes.plot(line.across, line.up, marker="osv"[number // 10 % 3], label=line.name)
    for name, height in limits:
        axes.axhline(height, linestyle="--", linewidth=1, color="grey")
        axes.annotate(name, (0.01, height), xycoords=("axes fraction", "data"), va="bottom", color="grey")
    axes.set(title=title, xlabel=across, ylabel=up, xscale="log", yscale="log")
    axes.grid(which="both", alpha=0.2)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{file}.png"
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
    return path
