"""Put the tables of a run into bench/README.md: each part has a place there, and only parts that were run are replaced.

Above them is the table of goals, whose rows come from the parts: those of other parts stay.
"""

from pathlib import Path

from bench.figures import HEAD, goal_rows, table
from bench.results import README, Run, origin

GOALS = "goals"


def refresh_readme(run: Run, *, has_all_parts: bool, readme: Path = README) -> None:
    text = readme.read_text(encoding="utf-8")
    readme.write_text(refreshed(text, run, has_all_parts=has_all_parts), encoding="utf-8")


def refreshed(text: str, run: Run, *, has_all_parts: bool = False) -> str:
    """A run of all parts leaves no goal of an earlier one. Raises `ValueError` for a part without a place."""
    rows = {} if has_all_parts else _rows(_between(text, GOALS))
    for part in run.parts:
        text = _replaced(text, part.name, f"\n{origin(run, part)}\n\n{table(part.figures)}\n\n")
        rows |= goal_rows(part.figures)
    return _replaced(text, GOALS, "\n" + "\n".join([HEAD, *rows.values()]) + "\n\n")


def _rows(block: str) -> dict[str, str]:
    """The rows of a Markdown table by their first cell, without its head."""
    lines = [line for line in block.split("\n") if line.startswith("| ")][1:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"


def _between(text: str, name: str) -> str:
    begin, end = _marks(name)
    _, found, rest = text.partition(begin)
    block, closed, _ = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"bench/README.md has no place for {name}: {begin.strip()} … {end.strip()}")
    return block


def _replaced(text: str, name: str, block: str) -> str:
    begin, end = _marks(name)
    return text.replace(f"{begin}{_between(text, name)}{end}", f"{begin}{block}{end}")
