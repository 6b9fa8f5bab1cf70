"""What is made of a run: figures, a line that says where they are from, a file, and a section of bench/README.md."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from bench.figures import Figure, Goal, Limit, table
from bench.peers.measure import Rate
from bench.peers.store import Kept
from bench.results import README, RESULTS_FOLDER, Machine

OWN = "Assay"
R = TypeVar("R")
READABLE_GOAL = Goal("share", 25)
_BEGIN, _END = "<!-- the last run beside peers -->\n", "<!-- end of the last run beside peers -->\n"


class PeersRun(Struct, frozen=True):
    """One run. `scores` were sent in each of `rounds`; in each of `kills`, `killed_scores` before a SIGKILL and
    `flood_scores` without one. `others` is the share of the cores' time that something else used meanwhile."""

    at: datetime
    seconds: float
    scores: int
    rounds: int
    kills: int
    killed_scores: int
    flood_scores: int
    others: float
    machine: Machine
    versions: dict[str, str]
    figures: list[Figure]


def rate_figures(rates: Mapping[str, Sequence[Rate]], scores: int) -> list[Figure]:
    """Rates and costs of each store by name, Assay's beside each peer's."""
    return [
        *_beside("readable", "scores/s", _runs(rates, lambda run: run.readable_per_second), READABLE_GOAL),
        *_beside("accepted", "scores/s", _runs(rates, lambda run: run.accepted_per_second)),
        *_beside("CPU time, databases included", "µs/score", _runs(rates, lambda run: run.cpu_seconds / scores * 1e6)),
        *dropped_figures(rates, scores),
    ]


def dropped_figures(rates: Mapping[str, Sequence[Rate]], scores: int) -> list[Figure]:
    """What was lost while nobody did anything to the store."""
    return _each(f"{scores:,} accepted, no kill: lost", _runs(rates, lambda run: run.dropped))


def kill_figures(kept: Mapping[str, Sequence[Kept]], scores: int) -> list[Figure]:
    """What of `scores` accepted ones was missing or there twice after each kill."""
    return [
        *_each(f"{scores:,} accepted, then SIGKILL: lost", _runs(kept, lambda run: scores - run.distinct)),
        *_each(f"{scores:,} accepted, then SIGKILL: stored twice", _runs(kept, lambda run: run.rows - run.distinct)),
    ]


def summary(run: PeersRun) -> str:
    of = run.machine
    named = ("commit", "arize-phoenix", "python", "postgres", "redis-server")
    return (
        f"{run.at:%Y-%m-%d %H:%M} UTC, {of.cores} cores ({of.processor}), {of.memory_gib:g} GiB, "
        f"{', '.join(f'{name} {run.versions[name]}' for name in named)}; {run.rounds} interleaved rounds of "
        f"{run.scores:,} scores, {run.kills} of floods and kills; "
        f"{run.others:.0%} of the CPU time went to something else."
    )


def keep(run: PeersRun, folder: Path = RESULTS_FOLDER) -> Path:
    """Write the run beside the earlier ones."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{run.at:%Y-%m-%d-%H%M}-peers.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    return path


def refresh_readme(run: PeersRun, readme: Path = README) -> None:
    """Put the run's table in the place of the one before; nothing else is touched. Raises `ValueError` when the place
    isn't marked."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{readme.name} has no place for the table: {_BEGIN.strip()} … {_END.strip()}")
    readme.write_text(f"{before}{begin}\n{summary(run)}\n\n{table(run.figures)}\n\n{end}{after}", encoding="utf-8")


def _runs(runs: Mapping[str, Sequence[R]], figure: Callable[[R], float]) -> dict[str, list[float]]:
    return {name: [float(figure(run)) for run in of_store] for name, of_store in runs.items()}


def _beside(part: str, unit: str, runs: Mapping[str, list[float]], goal: Goal | None = None) -> list[Figure]:
    """Assay's figure once beside each peer's, then each peer's own."""
    peers = [name for name in runs if name != OWN]
    return [
        *(
            Figure(part=part, name=OWN, unit=unit, runs=runs[OWN], limit=Limit(peer, runs[peer]), goal=goal)
            for peer in peers
        ),
        *(Figure(part=part, name=peer, unit=unit, runs=runs[peer]) for peer in peers),
    ]


def _each(part: str, runs: Mapping[str, list[float]]) -> list[Figure]:
    """Of Assay not a single one; for the others it is no goal."""
    none = Goal("below", 1)
    return [
        Figure(part=part, name=name, unit="scores", runs=own, goal=none if name == OWN else None)
        for name, own in runs.items()
    ]
