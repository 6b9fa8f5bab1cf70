"""`python -m tests.scaling`: how fast 1, 2 and 4 workers empty a full queue, and what shards and lanes do to that."""

import argparse
import asyncio
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.scaling.drain import Drain, Setting, drain
from tests.site import Site
from tests.stack import Project
from tests.system.processes import ROOT

WORKERS = [Setting(1), Setting(2), Setting(4)]
# With one transaction under way, a worker and its PostgreSQL take turns and use one core: two of them use two.
ONE_LANE = [Setting(workers, lanes=1) for workers in (1, 2, 4)]
SHARDS_AND_LANES = [Setting(2, shards=1), Setting(2, shards=16), Setting(2, lanes=4)]
# The same with nothing to do while it commits: workers then don't compete for cores.
SLOW_COMMITS = [Setting(workers, lanes=1, commit_ms=100) for workers in (1, 2, 4)]
PROJECTS = 64
GUIDE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- the last run -->", "<!-- end of the last run -->"


async def measure(site: Site, settings: list[Setting], scores: int, rounds: int) -> dict[Setting, list[Drain]]:
    """Round by round, so that what changes on the machine changes for all."""
    await site.migrate()
    projects: list[Project] = await site.make_projects(PROJECTS)
    found: dict[Setting, list[Drain]] = {setting: [] for setting in settings}
    for number in range(rounds):
        for setting in settings:
            one = await drain(site, projects, setting, scores)
            found[setting].append(one)
            print(f"round {number + 1}: {setting}: {one.seconds:.1f} s, {scores / one.seconds:,.0f}/s", flush=True)
    return found


def table(found: dict[Setting, list[Drain]], scores: int) -> str:
    lines = [
        "| workers | shards | lanes | commits wait | seconds | scores/s "
        "| CPU of workers | of PostgreSQL | of Redis | cores busy: ours | others |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for setting, drains in found.items():
        seconds = median(one.seconds for one in drains)
        cpu = [median(one.cpu(part) / scores * 1e6 for one in drains) for part in ("worker", "postgres", "redis")]
        busy = [median(one.cpu(part) / one.seconds for one in drains) for part in ("", "others")]
        cells = [setting.workers, setting.shards, setting.lanes, f"{setting.commit_ms} ms"]
        cells += [f"{seconds:.1f}", f"{scores / seconds:,.0f}"]
        cells += [f"{one:.1f} µs" for one in cpu] + [f"{busy[0] - busy[1]:.2f}", f"{busy[1]:.2f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def sizes(found: dict[Setting, list[Drain]]) -> str:
    one = next(iter(found.values()))[-1]
    return (
        f"Bytes for a score: {one.redis_bytes:.0f} in the queue; {one.table_bytes:.0f} in the table, "
        f"{one.index_bytes:.0f} in its indexes, {one.rollup_bytes:.0f} in rollups."
    )


def report(found: dict[Setting, list[Drain]], scores: int, rounds: int) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    head = (
        f"{now}, {os.cpu_count()} cores, {scores:,} scores of {PROJECTS} projects, interleaved rounds: {rounds}.\n"
        "CPU is for one score; the last columns say how many cores our processes kept busy, and how many others."
    )
    return f"{head}\n\n{table(found, scores)}\n\n{sizes(found)}"


def write(told: str) -> None:
    """In place of the last run's."""
    before, mark, rest = GUIDE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"{GUIDE} has no place for the figures")
    GUIDE.write_text(f"{before}{BEGIN}\n{told}\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scaling", description=__doc__)
    parser.add_argument("--scores", type=int, default=1_000_000, help="in the queue")
    parser.add_argument("--rounds", type=int, default=3, help="of each setting; the median is told")
    parser.add_argument("--only-workers", action="store_true", help="leave out shards, lanes and slow commits")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/scaling.md")
    asked = parser.parse_args()
    settings = WORKERS if asked.only_workers else WORKERS + ONE_LANE + SHARDS_AND_LANES + SLOW_COMMITS
    with tempfile.TemporaryDirectory(prefix="assay-scaling-") as folder:
        Path(folder).chmod(0o755)
        with Site(Path(folder) / "site") as site:
            found = asyncio.run(measure(site, settings, asked.scores, asked.rounds))
    told = report(found, asked.scores, asked.rounds)
    print(f"\n{told}")
    if asked.write:
        write(told)


if __name__ == "__main__":
    main()
