"""`python -m bench`: run the chosen parts in a house of their own, print their tables, keep the figures."""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench.figures import HEAD, Figure, goal_rows, table
from bench.house import open_house
from bench.parts import end_to_end, growth, ingest, kills, latency, memory, persist, retention, sdk
from bench.plan import Plan
from bench.readme import refresh_readme
from bench.results import PartRun, Run, keep, machine, origin, versions
from bench.rows import REAL_COUNT, read_rows
from bench.studies import (
    compression,
    connections,
    indexes,
    known_ids,
    partitions,
    queues,
    rollups,
    row_security,
    servers,
)
from bench.usage import OthersMeter

Part = Callable[[Plan], Awaitable[list[Figure]]]

PARTS: dict[str, Part] = {
    "ingest": ingest.measure,
    "end-to-end": end_to_end.measure,
    "persist": persist.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "sdk": sdk.measure,
    "kills": kills.measure,
    "growth": growth.measure,
    "retention": retention.measure,
}
STUDIES: dict[str, Part] = {
    "servers": servers.measure,
    "partitions": partitions.measure,
    "row-security": row_security.measure,
    "connections": connections.measure,
    "indexes": indexes.measure,
    "known-ids": known_ids.measure,
    "rollups": rollups.measure,
    "compression": compression.measure,
    "queues": queues.measure,
}
SHORT_PARTS = ["ingest", "end-to-end", "latency"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Assay on this machine.")
    parser.add_argument(
        "--part", action="append", choices=[*PARTS, *STUDIES], help="only this part or study; may be repeated"
    )
    parser.add_argument("--studies", action="store_true", help="the studies behind decisions, instead of the parts")
    parser.add_argument("--short", action="store_true", help="less exactly; without --part in at most 60 s")
    parser.add_argument("--rounds", type=int, help="interleaved runs of each variant (4; short: 2)")
    parser.add_argument("--seconds", type=float, help="how long a timed run lasts (3; short: 1.5)")
    parser.add_argument("--rows", type=int, help=f"scores to send end to end ({REAL_COUNT:,}; short: 40,000)")
    parser.add_argument("--growth-rows", type=int, help="rows of the largest table (10 million; short: 0.1)")
    parser.add_argument("--kills", type=int, help="SIGKILLs under load (20; short: 5)")
    parser.add_argument("--readme", action="store_true", help="put the tables of these parts into bench/README.md")
    parser.add_argument("--no-keep", action="store_true", help="write nothing to bench/results/")
    return parser.parse_args()


def chosen_parts(chosen: argparse.Namespace) -> list[str]:
    if chosen.part:
        return list(chosen.part)
    if chosen.studies:
        return list(STUDIES)
    return SHORT_PARTS if chosen.short else list(PARTS)


async def run(chosen: argparse.Namespace) -> Run:
    at, began = datetime.now(UTC), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder, open_house(Path(folder)) as house:
        plan = Plan(
            house=house,
            rows=read_rows(chosen.rows or (40_000 if chosen.short else REAL_COUNT)),
            rounds=chosen.rounds or (2 if chosen.short else 4),
            seconds=chosen.seconds or (1.5 if chosen.short else 3.0),
            growth_rows=chosen.growth_rows or growth.SIZES[0 if chosen.short else -1],
            kills=chosen.kills or (5 if chosen.short else 20),
            is_short=chosen.short,
        )
        parts: list[PartRun] = []
        for name in chosen_parts(chosen):
            print(f"{time.perf_counter() - began:5.0f} s  measuring {name}", flush=True)
            part = await measured(name, plan)
            parts += [] if part is None else [part]
        found = await versions(house)
    return Run(
        at=at,
        seconds=time.perf_counter() - began,
        rows=plan.rows.kind,
        rounds=plan.rounds,
        run_seconds=plan.seconds,
        machine=machine(),
        versions=found,
        parts=parts,
    )


async def measured(name: str, plan: Plan) -> PartRun | None:
    """None, and told, for a part that failed: what others measured in a quarter of an hour is not thrown away."""
    at, began, others = datetime.now(UTC), time.perf_counter(), OthersMeter()
    try:
        figures = await {**PARTS, **STUDIES}[name](plan)
    except Exception:  # noqa: BLE001 - whatever it is, the other parts go on
        traceback.print_exc()
        print(f"{name} FAILED", flush=True)
        return None
    return PartRun(name=name, at=at, seconds=time.perf_counter() - began, others=others.share(), figures=figures)


def main() -> int:
    chosen = arguments()
    done = uvloop.run(run(chosen))
    for part in done.parts:
        print(f"\n{part.name}: {origin(done, part)}\n\n{table(part.figures)}")
    rows = [row for part in done.parts for row in goal_rows(part.figures).values()]
    print("\n" + "\n".join([HEAD, *rows]) if rows else "")
    print(f"\nit took {done.seconds / 60:.1f} minutes")
    if not chosen.no_keep:
        print(f"kept in {keep(done)}")
    if chosen.readme:
        refresh_readme(done, has_all_parts={part.name for part in done.parts} >= set(PARTS))
    return 0 if len(done.parts) == len(chosen_parts(chosen)) else 1


if __name__ == "__main__":
    sys.exit(main())
