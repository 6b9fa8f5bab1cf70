"""`python -m bench`: run the chosen parts in a house of their own, print the table, keep the figures."""

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench.figures import Figure, table
from bench.house import House
from bench.parts import (
    connections,
    end_to_end,
    growth,
    ingest,
    latency,
    memory,
    partitions,
    persist,
    retention,
    row_security,
    servers,
)
from bench.plan import Plan
from bench.results import Run, keep, machine, refresh_readme, summary, versions
from bench.rows import REAL_COUNT, read_rows
from bench.usage import OthersMeter

Part = Callable[[Plan], Awaitable[list[Figure]]]

PARTS: dict[str, Part] = {
    "ingest": ingest.measure,
    "end-to-end": end_to_end.measure,
    "persist": persist.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "servers": servers.measure,
    "connections": connections.measure,
    "growth": growth.measure,
    "retention": retention.measure,
    "partitions": partitions.measure,
    "row-security": row_security.measure,
}
SHORT_PARTS = ["ingest", "end-to-end", "latency"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Assay on this machine.")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--short", action="store_true", help="at most 60 s: fewer parts, rows and rounds")
    parser.add_argument("--rounds", type=int, help="interleaved runs of each variant (5; short: 2)")
    parser.add_argument("--seconds", type=float, help="how long a timed run lasts (3; short: 1.5)")
    parser.add_argument("--rows", type=int, help=f"scores to send end to end ({REAL_COUNT:,}; short: 40,000)")
    parser.add_argument("--growth-rows", type=int, help="rows of the largest table (10 million; short: 0.1)")
    parser.add_argument("--readme", action="store_true", help="put the table into bench/README.md")
    parser.add_argument("--no-keep", action="store_true", help="write nothing to bench/results/")
    return parser.parse_args()


async def run(chosen: argparse.Namespace) -> Run:
    parts = chosen.part or (SHORT_PARTS if chosen.short else list(PARTS))
    at, began = datetime.now(UTC), time.perf_counter()
    others = OthersMeter()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder, House(Path(folder)) as house:
        plan = Plan(
            house=house,
            rows=read_rows(chosen.rows or (40_000 if chosen.short else REAL_COUNT)),
            rounds=chosen.rounds or (2 if chosen.short else 5),
            seconds=chosen.seconds or (1.5 if chosen.short else 3.0),
            growth_rows=chosen.growth_rows or growth.SIZES[0 if chosen.short else -1],
            is_short=chosen.short,
        )
        figures: list[Figure] = []
        for name in parts:
            print(f"{time.perf_counter() - began:5.0f} s  measuring {name}", flush=True)
            figures += await PARTS[name](plan)
        found = await versions(house)
    return Run(
        at=at,
        seconds=time.perf_counter() - began,
        rows=plan.rows.kind,
        rounds=plan.rounds,
        run_seconds=plan.seconds,
        others=others.share(),
        machine=machine(),
        versions=found,
        figures=figures,
    )


def main() -> None:
    chosen = arguments()
    done = uvloop.run(run(chosen))
    print(f"\n{summary(done)}\n\n{table(done.figures)}\n")
    if not chosen.no_keep:
        print(f"kept in {keep(done)}")
    if chosen.readme:
        refresh_readme(done)


if __name__ == "__main__":
    main()
